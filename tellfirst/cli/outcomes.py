"""`report`: what the outreaches achieved against their hold-out, and how far each figure may be trusted."""

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

import typer

from tellfirst.cli.instants import read_instant
from tellfirst.cli.output import Json, counted, print_json, print_table, say, when
from tellfirst.cli.wiring import opened
from tellfirst.store.outcomes import ReportLine


def report(
    reason: Annotated[str, typer.Option(help="Only outcomes of this reason code.")] = "",
    since: Annotated[str, typer.Option(metavar="ISO8601", help="Only outcomes recorded from here on.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Report recorded outcomes.

    Both arms, their difference with its 95 % interval, and the grade of the figure.
    """
    after = read_instant(since, "--since") if since else None
    with opened() as here:
        lines = here.outcomes.report(reason=reason or None, since=after)
    # By outreach, in the order in which their outcomes were recorded.
    order = {line.outreach: place for place, line in reversed(list(enumerate(lines)))}
    lines.sort(key=lambda line: order[line.outreach])
    grouped = [list(group) for _, group in groupby(lines, key=lambda line: line.outreach)]
    if as_json:
        print_json([_document(arms) for arms in grouped])
        return
    if not grouped:
        narrowed = reason or since
        say(
            "no recorded outcome is of that reason and time; leave --reason and --since away to see all"
            if narrowed
            else "no outcome is recorded yet: a window has to close first"
        )
        return
    print_table(
        ("outreach", "reason", "treated", "control", "difference", "95 % interval", "grade", "recorded"),
        [_row(arms) for arms in grouped],
        numbers=("treated", "control", "difference"),
    )
    for arms in grouped:
        say(f"{arms[0].outreach}: {arms[0].sentence}")
    say(f"{counted(len(grouped), 'outcome')}; rates count accounts; docs/measurement.md tells what the grades mean")


def _row(arms: Sequence[ReportLine]) -> tuple[str, ...]:
    by_arm, first = {line.arm: line for line in arms}, arms[0]
    return (
        first.outreach,
        first.reason_code,
        _arm(by_arm.get("treated")),
        _arm(by_arm.get("control")),
        _points(first.difference),
        "-" if first.ci_low is None else f"{_points(first.ci_low)} to {_points(first.ci_high)}",
        first.grade,
        when(first.recorded_at.replace(microsecond=0)),
    )


def _arm(line: ReportLine | None) -> str:
    if line is None:
        return "-"
    if line.rate is None:
        return f"{line.clusters:,} accounts"
    return f"{line.contacted:,} of {line.clusters:,} ({line.rate:.1%})"


def _points(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:+.1f} pp"


def _document(arms: Sequence[ReportLine]) -> dict[str, object]:
    first = arms[0]
    return {
        "outreach": first.outreach,
        "trigger": first.trigger,
        "reason_code": first.reason_code,
        "arms": {line.arm: {"n": line.clusters, "contacted": line.contacted, "rate": line.rate} for line in arms},
        "difference": first.difference,
        "ci_low": first.ci_low,
        "ci_high": first.ci_high,
        "grade": first.grade,
        "sentence": first.sentence,
        "recorded_at": first.recorded_at.isoformat(),
    }
