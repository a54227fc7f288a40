"""What others wrote, on the terminal of whoever approves: no sequence is obeyed, nothing is hidden or turned round."""

import ast
import json
import re
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import typer
from rich.padding import Padding

from tellfirst.cli import output
from tellfirst.domain.condition import Condition, Subject
from tellfirst.errors import TellfirstError
from tests.cli.conftest import Office, office
from tests.figures import Figure

__all__ = ["office"]

CLI = Path(output.__file__).parent
CLEAR, LINK, CLIPBOARD = "\x1b[2J\x1b[H", "\x1b]8;;https://evil.example\x07", "\x1b]52;c;ZXZpbA==\x07"
EVIL = [
    CLEAR, LINK, CLIPBOARD, "\x1b[8mhidden\x1b[28m", "\x1b]0;a title\x1b\\", "\x1bP+q544e\x1b\\", "\x9b2J",
    "\x9d8;;x\x9c", "\x90q\x9c", "\r", "\b\b\b", "\a", "\v", "\f", "\x7f", "\0", "\x0e", "\x85", "\u2028", "\u2029",
    "\u202egnp.exe", "\u202d", "\u2066x\u2069", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200f",
    "\U000e0041", "\ud800",
]  # fmt: skip
OBEYED = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


class Terminal(StringIO):
    """Is a stream that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("evil", EVIL, ids=ascii)
def test_what_a_terminal_obeys_is_an_escape(evil: str) -> None:
    said = output.visible(f"Ana{evil}late")
    assert not OBEYED.search(said)
    assert "\\" in evil or said.encode("ascii").decode("unicode_escape") == f"Ana{evil}late", "one can tell what it was"


@pytest.mark.parametrize("text", ["12,50\u00a0€", "12\u202f500", "Zoë 絵文字 🎉", "a\tb", "c:\\x1b", ""])
def test_what_people_read_stays_as_it_is(text: str) -> None:
    assert output.visible(text) == text


def test_only_a_page_has_lines() -> None:
    assert output.visible("a\nb") == r"a\nb"
    assert output.visible("a\nb\r", lines=True) == "a\nb\\r"


WAYS: dict[str, Callable[[str], object]] = {
    "say": output.say,
    "note": output.note,
    "put": lambda text: output.put(output.shown(text), Padding(output.shown(text, "bold"), (0, 2))),
    "table": lambda text: output.print_table(("name", "why"), [(text, text), (1, None)]),
    "json": lambda text: output.print_json({text: [text]}),
    "error": lambda text: output.fail(TellfirstError(text, where=text, remedy=text)),
    "progress": lambda text: output.progress(text, 3).__enter__()(1),
    "question": lambda text: output.confirm(text),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [StringIO, Terminal])
@pytest.mark.parametrize("columns", ["20", "200"])
def test_no_way_of_printing_lets_it_through(
    monkeypatch: pytest.MonkeyPatch, way: str, stream: type[StringIO], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "dumb")  # rich adds no sequences of its own
    for evil in EVIL:
        out, err = stream(), stream()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr(sys, "stdin", StringIO("y\n"))
        try:
            WAYS[way](f"Ana{evil}late")
        except typer.Abort:
            pass
        finally:
            monkeypatch.undo()
            monkeypatch.setenv("COLUMNS", columns)
            monkeypatch.setenv("TERM", "dumb")
        written = out.getvalue() + err.getvalue()
        assert "Ana" in written or way == "progress"
        assert not OBEYED.search(written), (evil, written)
        if way == "json":
            assert json.loads(out.getvalue()) == {f"Ana{evil}late": [f"Ana{evil}late"]}, "the same to a machine"


def past_the_escapes(source: str) -> list[str]:
    """Returns what a module would print with by itself."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in ("rich.text", "rich.console", "rich"):
            found.append(f"{node.lineno}: {node.module}")
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("print", "typer.echo", "typer.secho", "typer.confirm", "sys.stdout.write", "sys.stderr.write"):
                found.append(f"{node.lineno}: {name}")
            if name == "typer.prompt" and not isinstance(node.args[0], ast.JoinedStr | ast.Call):
                found.append(f"{node.lineno}: {name}")
    return found


def test_every_command_prints_through_the_escapes() -> None:
    past = {
        f"{path.name}:{one}"
        for path in CLI.rglob("*.py")
        if path.name != "output.py"
        for one in past_the_escapes(path.read_text())
    }
    # A difference is for `patch`, byte for byte; the command refuses to write a name that cannot be printed.
    assert {re.sub(r"\d+", "", one) for one in past} == {"keys.py:: typer.echo"}


@pytest.mark.parametrize(
    "source", ["print(x)", "from rich.text import Text", "typer.confirm(f'{x}?')", "typer.prompt(point)"]
)
def test_a_module_that_prints_by_itself_is_seen(source: str) -> None:
    assert past_the_escapes(source)


async def test_what_an_approver_reads_of_an_outreach_obeys_nobody(office: Office, figure: Figure) -> None:
    world = office.world
    whom = f"c{CLEAR}1"
    world.customer(whom)
    late = world.late("o-1")
    condition = Condition.model_validate(
        late.model_dump()
        | {
            "facts": late.facts | {"more": f"{LINK}{CLIPBOARD}\u202e"},
            "subjects": [Subject(key=f"o{CLEAR}", customer=whom, facts=late.subjects[0].facts)],
        }
    )
    handle = await world.start(condition)
    await world.planned(handle.id)
    refused = await office.run("reject", handle.id, "--key", office.eve.key, "--yes", "--reason", f"no{CLEAR}\nyes")
    assert refused.code == 0
    await office.until(lambda: [one.accepted for one in world.decisions.received(handle.id)] == [True])
    told = 0
    for words in (["show", handle.id], ["show", handle.id, "--json"], ["pending"], ["stuck"], ["owners"]):
        done = await office.run(*words)
        assert not OBEYED.search(done.out + done.err), words
        told += done.out.count(r"\x1b") + done.out.count(r"\u001b")
    assert told >= 4, "it is shown, and not left out"
    shown = (await office.run("show", handle.id)).out
    assert r"to c\x1b[2J\x1b[H1 (" in shown
    assert r"no\x1b[2J\x1b[H\nyes" in " ".join(shown.split()).replace("\\ ", "\\")
    figure(f"terminal: {len(EVIL)} texts by {len(WAYS)} ways of printing, 0 obeyed")
