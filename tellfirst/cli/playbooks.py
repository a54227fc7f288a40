"""`playbooks check|list|show`: what may be said, checked and looked at before anyone is told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.padding import Padding

from tellfirst.cli.disclosure import disclosure
from tellfirst.cli.library import approve, diff, history, propose, reject, withdraw
from tellfirst.cli.output import Json, counted, length, note, print_json, print_table, put, say, shown, visible
from tellfirst.cli.owners import owners, registered, unheld
from tellfirst.cli.templates import templates
from tellfirst.cli.wiring import find_playbook, read_library
from tellfirst.domain.base import Frozen
from tellfirst.errors import PlaybookError
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.loader import LIBRARY, load_file, load_library
from tellfirst.playbooks.promises import next_promise, planned_steps
from tellfirst.playbooks.render import compile_step, sample_facts
from tellfirst.playbooks.schema import Playbook, Step
from tellfirst.settings import Settings

playbooks = typer.Typer(help="What may be said to whom, and who approves it.", no_args_is_help=True)

for command in (diff, propose, approve, reject, withdraw, history, owners, disclosure, templates):
    playbooks.command()(command)

EXAMPLE_DAY = datetime(2026, 9, 21, 9, tzinfo=UTC)
"""The day on which the samples of `playbooks show` are planned."""


class SampleText(Frozen):
    """Is one message of a playbook with sample values, as long as they may plausibly be."""

    step: str
    channel: str
    locale: str
    subject: str
    body: str


@playbooks.command("check")
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILES]...", help="Playbook files or folders; default all."),
    ] = None,
) -> None:
    """Check playbooks: schema, wording, promises.

    Each file is ok, or one sentence says what to mend. A rule's SQL is tried by `tellfirst detect ID --dry-run`.
    """
    bad, people = 0, registered(Settings.load())
    for path in _inside(files) if files else _library_files():
        try:
            loaded = load_file(path)
        except PlaybookError as error:
            bad += 1
            note(" ".join(str(error).split()))
        else:
            say(f"{path}: ok ({loaded.playbook.id}, version {loaded.version[:12]})")
            for gap in unheld(loaded.playbook, people):
                note(f"{path}: {gap}")
    if bad:
        raise PlaybookError(f"{counted(bad, 'playbook')} may not be used", remedy="mend the files named above")
    if not files:
        read_library(Settings.load())  # two files with one id are seen only together


@playbooks.command("list")
def list_(as_json: Annotated[bool, Json] = False) -> None:
    """List the playbooks of this installation."""
    library = read_library(Settings.load())
    books = [(loaded.playbook, loaded.version) for _, loaded in sorted(library.items())]
    if as_json:
        print_json(
            [
                {
                    "id": book.id,
                    "title": book.title,
                    "industry": book.industry,
                    "reason_code": book.reason_code,
                    "channels": list(book.channels),
                    "owner": book.owners.owner,
                    "version": version,
                }
                for book, version in books
            ]
        )
        return
    print_table(
        ("id", "title", "industry", "reason code", "channels", "owner", "version"),
        [
            (b.id, b.title, b.industry, b.reason_code, ", ".join(b.channels), b.owners.owner, version[:12])
            for b, version in books
        ],
    )


@playbooks.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="The id of a playbook.")],
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Show a playbook, every text with sample values.

    Who owns and approves it, what it promises and measures.
    """
    loaded = find_playbook(read_library(Settings.load()), name)
    book, texts = loaded.playbook, list(sample_texts(loaded.playbook))
    if as_json:
        print_json(
            {
                "version": loaded.version,
                "playbook": book.model_dump(mode="json", by_alias=True),
                "samples": [text.model_dump() for text in texts],
            }
        )
        return
    put(shown(book.title, "bold"))
    say(f"{book.id}, version {loaded.version[:12]}")
    for label, words in _summary(book):
        put(shown(f"{label:<12}", "bold").append(visible(words), style="not bold"))
    for text in texts:
        put("")
        head = f"{text.step}, {text.channel}, {text.locale}"
        put(shown(f"{head}: {text.subject}" if text.subject else head, "bold"))
        put(Padding(shown(text.body), (0, 0, 0, 2), expand=False))


def sample_texts(book: Playbook) -> Iterator[SampleText]:
    """Yields every message of a playbook with sample values, as if planned on an example day."""
    steps, facts = planned_steps(book, EXAMPLE_DAY), sample_facts(book)
    for step in book.steps:
        for channel, locales in step.messages.items():
            for locale in locales:
                template = compile_step(book, step.id, channel, locale)
                try:
                    text = template.render(facts, promise=next_promise(steps, step.id), zone=book.timezone)
                except RenderError as error:  # the linter knows shorter values; the longest may not fit a text
                    yield SampleText(step=step.id, channel=channel, locale=locale, subject="", body=f"({error})")
                    continue
                yield SampleText(step=step.id, channel=channel, locale=locale, subject=text.subject, body=text.body)


def _summary(book: Playbook) -> Iterator[tuple[str, str]]:
    owners = book.owners
    yield "owner", f"{owners.owner}; accountable: {owners.accountable}; team: {owners.team}"
    yield "proposed by", ", ".join(owners.proposers)
    people = f"{book.approval.quorum} people with the role " if book.approval.quorum > 1 else ""
    yield (
        "approved by",
        f"{people}{', '.join(owners.approvers)}, within {length(book.approval.expires_after)} or nobody is told",
    )
    yield (
        "measured by",
        (
            f"contacts about {book.reason_code} within {length(book.measure.window)}; "
            f"hold-out {book.measure.holdout:.0%}; purpose {book.purpose}"
        ),
    )
    by = "its rule on the operational database" if book.detector.kind == "sql" else "the service that sees it"
    yield "detected by", f"{by}; told up to {length(book.detector.max_age)} after it began"
    if book.timing.ignores_hours:
        yield "leaves", "at any hour: it does not wait for the morning"
    for step in book.steps:
        yield f"{step.id}", _promise(step)


def _promise(step: Step) -> str:
    if step.kind == "update":
        ready = f", prepared {length(step.lead)} earlier" if step.lead > timedelta(0) else ""
        return f"promised {length(step.after or timedelta(0))} after planning{ready}"
    return "opens" if step.kind == "initial" else "when the condition is over"


def _inside(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.rglob("*.toml"))
        if not found:
            raise PlaybookError("holds no playbook", where=str(path), remedy="its files end in .toml")
        yield from found


def _library_files() -> list[Path]:
    settings = Settings.load()
    folders = [*([LIBRARY] if settings.library else []), *settings.playbooks]
    for folder in folders:
        if not folder.is_dir():
            load_library([folder])  # says what is wrong with the folder
    return sorted(path for folder in folders for path in folder.rglob("*.toml"))
