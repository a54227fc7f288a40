"""`report`: what outreaches achieved against their hold-out, by reason code, and how far each figure may be trusted."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tellfirst.cli.instants import read_instant
from tellfirst.cli.output import Json, counted, note, print_json, print_table, progress, say, when
from tellfirst.cli.report_document import document
from tellfirst.cli.report_rows import rows, write_csv, write_parquet, writing
from tellfirst.cli.wiring import Installation, opened
from tellfirst.domain.outcome import ArmOutcome
from tellfirst.measurement.intervals import Difference
from tellfirst.measurement.pools import Amount, Pool
from tellfirst.measurement.report import OutreachLine, ReasonReport
from tellfirst.measurement.report import report as made_of


def report(
    reason: Annotated[str, typer.Option(help="Only outcomes of this reason code.")] = "",
    since: Annotated[str, typer.Option(metavar="ISO8601", help="Only outcomes recorded from here on.")] = "",
    outreaches: Annotated[bool, typer.Option("--outreaches", help="Each outreach too, below its reasons.")] = False,
    as_json: Annotated[bool, Json] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page to read, print and pass on.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table for spreadsheets.")] = None,
    parquet: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table for data tools.")] = None,
) -> None:
    """Report what the outreaches achieved, by reason code.

    Those told first against those held out, with the 95 % interval of their difference and the grade of the figure.
    """
    after = read_instant(since, "--since") if since else None
    with opened() as here:
        found = _read(here, reason or None, after)
    if csv:
        write_csv(csv, rows(found, outreaches=outreaches))
        note(f"{csv}: written")
    if parquet:
        write_parquet(parquet, rows(found, outreaches=outreaches))
        note(f"{parquet}: written")
    if html:
        from tellfirst.web.report.page import page

        with writing(html) as out:
            out.write(page(found, at=datetime.now(UTC), scope=_scope(reason, after)))
        note(f"{html}: written")
    if as_json:
        print_json(document(found).model_dump(mode="json"))
    elif found:
        _print(found, outreaches=outreaches)
    else:
        narrowed = reason or since
        say(
            "no recorded outcome is of that reason and time; leave --reason and --since away to see all"
            if narrowed
            else "no outcome is recorded yet: a window has to close first"
        )


def _read(here: Installation, reason: str | None, after: datetime | None) -> tuple[ReasonReport, ...]:
    recorded = here.outcomes.latest(reason=reason, since=after)
    by_reason: dict[str, list[str]] = defaultdict(list)
    for one in recorded:
        by_reason[one.reason_code].append(one.outreach)
    counts, series = [], []
    with progress("reading reasons", len(by_reason)) as step:
        for code, names in sorted(by_reason.items()):
            counts += here.besides.of(code, names)
            if evidence := here.weeks.evidence(code):
                series.append(evidence)
            step(1)
    # Only windows whose contacts are all here: of the others those still missing would count as avoided.
    until = here.contacts.watermark()
    running = here.windows.running(until=until) if until else []
    return made_of(
        recorded,
        [one for one in running if reason in (None, one.reason_code)],
        counts=counts,
        rates=here.settings.cost_rates,
        surveys=here.surveys.figures(reason=reason, since=after),
        series=series,
    )


def _scope(reason: str, after: datetime | None) -> str:
    said = f"Outcomes about {reason}" if reason else "All outcomes"
    return f"{said} recorded since {when(after)}." if after else f"{said} recorded so far."


def _print(found: Sequence[ReasonReport], *, outreaches: bool) -> None:
    columns = ("reason", "grade", "outreaches", "told first", "held out", "difference", "95 % interval")
    numbers = ("outreaches", "told first", "held out", "difference")
    table = [row for one in found for row in _rows(one)]
    if table:
        print_table((*columns, "spared a contact", "about anything"), table, numbers=numbers)
    for one in found:
        say("")
        say(f"{one.reason_code}, grade {one.grade}")
        for sentence in (*(one.sentences if one.pools else one.sentences[:1]), *_beside(one)):
            say(f"  {sentence}")
    say("")
    lines = [(one.reason_code, line) for one in found for line in one.outreaches]
    if outreaches and lines:
        say("")
        print_table(
            ("outreach", "reason", "told first", "held out", "difference", "95 % interval", "grade", "recorded"),
            [_line(code, line) for code, line in lines],
            numbers=("told first", "held out", "difference"),
        )
        for _, line in lines:
            say(f"{line.outreach}: {line.sentence}")
    early = [one for reason in found for one in reason.early]
    if early:
        say("")
        say("early reading, windows still open:")
        for reading in early:
            say(f"{reading.outreach}: {reading.sentence}")
    if any(one.marked for one in found) and len(found) > 1:
        say("* holds also when all reasons of this report are looked at together")
    say(
        f"{counted(len(found), 'reason')}, {counted(len(lines), 'outcome')}; rates count accounts;"
        " docs/measurement.md tells how to read it and what the grades mean"
    )


def _beside(one: ReasonReport) -> tuple[str, ...]:
    heard = tuple(sentence for survey in one.surveys for sentence in survey.sentences)
    return (*(one.beside.sentences if one.beside else ()), *heard)


def _rows(one: ReasonReport) -> list[tuple[str, ...]]:
    found = [_row(one, some, first=not place) for place, some in enumerate(one.pools)]
    if one.series and (change := one.series.change):
        figures = (f"{change.change:+.0%} a week", f"{change.low:+.0%} to {change.high:+.0%}")
        found.insert(0, (one.reason_code, one.series.grade, "-", "-", "-", *figures, "-", "-"))
    if not found and one.outreaches:
        found = [(one.reason_code, one.grade, f"{len(one.outreaches):,}", *("-",) * 6)]
    return found


def _row(one: ReasonReport, some: Pool, *, first: bool) -> tuple[str, ...]:
    return (
        one.reason_code,
        some.grade,
        f"{some.outreaches:,}",
        arm(some.treated),
        arm(some.control),
        points(some.difference) + (" *" if first and one.marked else ""),
        between(some.difference),
        spared(some.avoided),
        f"{points(some.anyhow)} ({between(some.anyhow)})" if some.anyhow else "-",
    )


def _line(code: str, line: OutreachLine) -> tuple[str, ...]:
    by_arm = {one.arm: one for one in line.arms}
    return (
        line.outreach,
        code,
        arm(by_arm["treated"]),
        arm(by_arm["control"]),
        points(line.difference),
        between(line.difference),
        line.grade,
        when(line.recorded_at.replace(microsecond=0)),
    )


def arm(one: ArmOutcome) -> str:
    """Returns an arm as tables show it; without its rate only how many accounts it has."""
    if one.rate is None:
        return counted(one.clusters, "account")
    return f"{one.contacted:,} of {one.clusters:,} ({one.rate:.1%})"


def points(found: Difference | None) -> str:
    """Returns a difference in percentage points, with its sign."""
    return "-" if found is None else f"{found.difference * 100:+.1f} pp"


def between(found: Difference | None) -> str:
    """Returns the interval of a difference in percentage points."""
    return "-" if found is None else f"{found.low * 100:+.1f} pp to {found.high * 100:+.1f} pp"


def spared(avoided: Amount | None) -> str:
    """Returns accounts that did not contact for it, with the interval."""
    if avoided is None:
        return "-"
    return f"{avoided.value:,.0f} ({avoided.low or 0:,.0f} to {avoided.high or 0:,.0f})"
