"""The page of one outreach: what was said, to how many, who approved, what happened, what came of it."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from tellfirst.domain.base import Frozen
from tellfirst.playbooks.loader import parse
from tellfirst.playbooks.schema import Parts, Playbook
from tellfirst.store.dashboard_page import OutreachPage, RevisionView
from tellfirst.store.sending import Sending
from tellfirst.web.dashboard.sheet import Section, Table, cell, instant, length, points, when
from tellfirst.web.dashboard.words import GRADES, happened, plain

PARTS = ("subject", "know", "doing", "now", "next", "human", "why", "out")
"""The parts of a message in the order in which they are read."""
_FIELD = re.compile(r"{{-?\s*(\w+)[^}]*}}|{%.*?%}")


class Piece(Frozen):
    """Is a stretch of a template: words that everybody reads, or a field's name."""

    text: str
    field: bool


class Template(Frozen):
    """Is one message on one channel in one locale, part by part."""

    title: str
    locale: str
    parts: tuple[tuple[Piece, ...], ...]


class StepTexts(Frozen):
    """Is one step with its templates."""

    title: str
    texts: tuple[Template, ...]


class Point(Frozen):
    """Is one line of the timeline."""

    at: str
    when: str
    text: str


class Sheet(Frozen):
    """Is the page, ready to be shown."""

    heading: str
    id: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    said: str
    steps: tuple[StepTexts, ...]
    timeline: tuple[Point, ...]


def sheet_of(page: OutreachPage, sending: Sending | None, now: datetime) -> Sheet:
    """Returns the page of an outreach as of `now`, with how it is leaving."""
    latest = page.revisions[0] if page.revisions else None
    playbook = parse(latest.playbook_text, "the planned playbook").playbook if latest else None
    signed = any(one.status == "approved" for one in page.revisions)
    return Sheet(
        heading=playbook.title if playbook else plain(page.trigger),
        id=page.id,
        facts=tuple(_facts(page, latest, playbook, sending)),
        sections=(_people(page), _messages(page), _decisions(page, now), _outcome(page)),
        said="What was said" if signed else "What is to be said",
        steps=tuple(_steps(page)),
        timeline=tuple(
            Point(
                at=one.at.astimezone(UTC).isoformat(timespec="seconds"),
                when=when(one.at),
                text=happened(one.what, one.detail),
            )
            for one in page.timeline
        ),
    )


def _facts(
    page: OutreachPage, latest: RevisionView | None, playbook: Playbook | None, sending: Sending | None
) -> Iterable[tuple[str, str]]:
    ended = f"ended: {plain(page.ending)}" if page.closed else "running"
    yield "state", f"stopped: {page.blocked}" if page.blocked else "paused" if page.paused else ended
    if sending is not None:
        yield "sending", sending.words(length)
    yield "trigger", page.trigger
    if latest is not None and playbook is not None:
        yield "reason code", latest.plan.reason_code
        yield "owner", latest.plan.owner
        yield "approvers", ", ".join(latest.plan.approvers)
        yield "purpose", playbook.purpose
        yield "revision", f"{latest.number}, {plain(latest.status)}"


def _people(page: OutreachPage) -> Section:
    rows = []
    for one in page.revisions:
        rows.append(
            (cell(f"Revision {one.number}: to be told"), cell(one.plan.recipients), cell(_counts(one.channels)))
        )
        if one.not_told:
            rows.append((cell("not to be told"), cell(sum(one.not_told.values())), cell(_counts(one.not_told))))
        if one.set_aside:
            rows.append((cell("set aside later"), cell(sum(one.set_aside.values())), cell(_counts(one.set_aside))))
    if page.arms:
        rows.append((cell("drawn so far"), cell(sum(page.arms.values())), cell(_counts(page.arms))))
    return _table(
        "people", "To how many", "Nobody is planned for yet.", "Whom it is for", ("who", "how many", "of these"), rows
    )


def _messages(page: OutreachPage) -> Section:
    rows = [
        (cell(step, note=f"revision {one.number}"), cell(sum(states.values())), cell(_counts(states)))
        for one in page.revisions
        for step, states in one.sends.items()
    ]
    return _table(
        "messages", "Messages", "No message has left yet.", "Messages by step", ("step", "messages", "of these"), rows
    )


def _decisions(page: OutreachPage, now: datetime) -> Section:
    rows = [
        (
            cell(plain(said.decision), note=f"revision {one.number}"),
            cell(said.approver or "nobody known"),
            instant(said.at, now),
            cell("counts", mark="good") if said.accepted else cell(f"refused: {plain(said.code)}", mark="bad"),
        )
        for one in page.revisions
        for said in one.decisions
    ]
    return _table(
        "decisions",
        "Who approved, and when",
        "Nobody has decided yet. Silence is never approval.",
        "Decisions as they came",
        ("decision", "signed by", "received", "counts"),
        rows,
    )


def _outcome(page: OutreachPage) -> Section:
    found = page.result
    rows = []
    if found is not None:
        difference = "none"
        if found.difference is not None and found.ci_low is not None and found.ci_high is not None:
            interval = f"95 % interval {points(found.ci_low)} to {points(found.ci_high)}"
            difference = f"{points(found.difference)} points, {interval}"
        rows.append((cell(GRADES[found.grade]), cell(difference), cell(_counts(found.clusters)), cell(found.sentence)))
    return _table(
        "outcome",
        "Outcome",
        "Nothing is measured before the windows have closed and contacts are in.",
        "Told minus held out, of accounts",
        ("grade", "difference", "accounts", "in words"),
        rows,
    )


def _table(id_: str, title: str, nothing: str, caption: str, columns: tuple[str, ...], rows: list[tuple]) -> Section:  # type: ignore[type-arg]
    table = Table(caption=caption, columns=columns, rows=tuple(rows)) if rows else None
    return Section(id=id_, title=title, count=len(rows), nothing=nothing, table=table)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{plain(name)} {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1]))


def _steps(page: OutreachPage) -> Iterable[StepTexts]:
    seen: set[str] = set()
    for one in page.revisions:
        if one.plan.playbook_version in seen:
            continue
        seen.add(one.plan.playbook_version)
        for step in parse(one.playbook_text, "the planned playbook").playbook.steps:
            texts = tuple(
                Template(title=f"{plain(channel)}, {locale}", locale=locale, parts=tuple(_parts(parts)))
                for channel, locales in step.messages.items()
                if channel in one.plan.channels
                for locale, parts in locales.items()
            )
            yield StepTexts(title=f"Step {step.id}, revision {one.number}", texts=texts)


def _parts(parts: Parts) -> Iterable[tuple[Piece, ...]]:
    for name in PARTS:
        if source := getattr(parts, name):
            yield tuple(_pieces(source))


def _pieces(source: str) -> Iterable[Piece]:
    begun = 0
    for found in _FIELD.finditer(source):
        if words := source[begun : found.start()]:
            yield Piece(text=words, field=False)
        yield Piece(text=found[1] or found[0], field=True)
        begun = found.end()
    if words := source[begun:]:
        yield Piece(text=words, field=False)
