"""Where nobody was held out: weekly contacts before and after, against their own past or against other reasons.

Both are of counts on a logarithmic scale, so that a change is a part of what there was. Neither proves a cause.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from math import exp, log

from pydantic import Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.outcome import Grade
from tellfirst.measurement.least_squares import fit
from tellfirst.measurement.numerics import t_p

BEFORE, AFTER = 8, 4
"""Full weeks that a comparison needs before and after; from fewer neither a trend nor its error can be seen."""
FEWEST = 5
"""Contacts a week, in the mean, below which the logarithm of a count says more about luck than about the reason."""
APART = 0.05
"""Below this probability two series were moving apart before anybody was told, so that neither foretells the other."""
WEEK = timedelta(days=7)


class Weekly(Frozen):
    """Is how many contacts there were in each full week, Monday to Sunday (UTC), from the Monday `first` on."""

    first: date
    counts: tuple[int, ...]


class Change(Frozen):
    """Is a relative change of weekly contacts (-0.2: a fifth fewer) with its 95 % interval."""

    change: float
    low: float
    high: float


class SeriesEvidence(Frozen):
    """Is what weekly contacts say about a reason for which nobody was held out.

    `grade` is C against other reasons, D against its own past, E where nothing is claimed; `change` is then None.
    `apart_p` is the probability (0 to 1) that the two series ran as far apart before by chance. The `sentence` holds
    alone.
    """

    reason_code: str
    grade: Grade
    change: Change | None = None
    weeks_before: int = Field(ge=0)
    weeks_after: int = Field(ge=0)
    apart_p: float | None = None
    sentence: str


def series_for(reason_code: str, weekly: Weekly, *, begun: datetime, others: Weekly | None = None) -> SeriesEvidence:
    """Returns the best that `weekly` contacts about a reason say, whose customers were told first from `begun` on.

    Against `others`, contacts about reasons that nobody was told about, where they ran beside it before (C); else
    against its own trend (D); else nothing (E). The week of `begun` belongs to neither side.
    """
    turn = (begun.astimezone(UTC).date() - weekly.first) // WEEK
    before, after = tuple(weekly.counts[: max(0, turn)]), tuple(weekly.counts[max(0, turn + 1) :])
    told = {"reason_code": reason_code, "weeks_before": len(before), "weeks_after": len(after)}
    if len(before) < BEFORE or len(after) < AFTER:
        return SeriesEvidence(grade="E", sentence=_too_short(reason_code, len(before), len(after)), **told)
    if sum(before) < FEWEST * len(before):
        return SeriesEvidence(grade="E", sentence=_too_few(reason_code), **told)
    apart_p = None
    if others is not None and (beside := _beside(weekly, others, len(before))):
        apart_p = drifting_p(before, beside[0])
        if apart_p >= APART:
            found = against_others((before, after), beside)
            sentence = _against_others(reason_code, found, len(before), len(after))
            return SeriesEvidence(grade="C", change=found, apart_p=apart_p, sentence=sentence, **told)
    found = before_after(before, after)
    sentence = _before_after(reason_code, found, len(before), len(after), drifted=apart_p is not None)
    return SeriesEvidence(grade="D", change=found, apart_p=apart_p, sentence=sentence, **told)


def before_after(before: Sequence[int], after: Sequence[int]) -> Change:
    """Returns the change of weekly counts after a gap of one week, against the line through those before and after.

    An interrupted series: one slope, and a step between. 95 % interval from Newey and West's error. Raises ValueError
    for fewer than 4 weeks in all, or none on a side. Source: Wagner et al., J Clin Pharm Ther 27 (2002) 299-309.
    """
    y = [log(count + 0.5) for count in (*before, *after)]
    weeks = [*range(len(before)), *range(len(before) + 1, len(before) + 1 + len(after))]
    x = [(1.0, float(week), float(week > len(before))) for week in weeks]
    return _change(y, x)


def against_others(own: tuple[Sequence[int], Sequence[int]], others: tuple[Sequence[int], Sequence[int]]) -> Change:
    """Returns the difference in differences of (before, after) weekly counts, as a part of what there would have been.

    What changed both alike, such as a season, falls out. Errors and refusals as in `before_after`.
    Source: Bertrand, Duflo and Mullainathan, QJE 119 (2004) 249-275, on why the errors must know their neighbours.
    """
    y = _ratios((*own[0], *own[1]), (*others[0], *others[1]))
    x = [(1.0, float(week >= len(own[0]))) for week in range(len(y))]
    return _change(y, x)


def drifting_p(own: Sequence[int], others: Sequence[int]) -> float:
    """Returns the probability (0 to 1) that two series of weekly counts move apart as steadily as these by chance."""
    line = fit(_ratios(own, others), [(1.0, float(week)) for week in range(len(own))])
    slope, error = line.coefficients[1], max(line.errors[1], line.plain[1])
    return t_p(slope / error, line.df) if error else float(not slope)


def _beside(weekly: Weekly, others: Weekly, before: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Returns the same weeks of the others, before and after; None where they lack one or are too few."""
    offset, n = (weekly.first - others.first) // WEEK, len(weekly.counts)
    same = others.counts[offset : offset + n] if offset >= 0 else ()
    if len(same) < n or sum(same[:before]) < FEWEST * before:
        return None
    return tuple(same[:before]), tuple(same[before + 1 :])


def _ratios(own: Sequence[int], others: Sequence[int]) -> list[float]:
    return [log(mine + 0.5) - log(theirs + 0.5) for mine, theirs in zip(own, others, strict=True)]


def _change(y: Sequence[float], x: Sequence[Sequence[float]]) -> Change:
    line = fit(y, x)
    step, half = line.coefficients[-1], line.margin(-1)
    return Change(change=exp(step) - 1, low=exp(step - half) - 1, high=exp(step + half) - 1)


def _too_short(reason: str, before: int, after: int) -> str:
    return (
        f"Nobody was held out, and contacts about {reason} are known for {before} full weeks before the first outreach"
        f" and {after} after it; at least {BEFORE} and {AFTER} are needed, so nothing is said about how they changed."
    )


def _too_few(reason: str) -> str:
    return (
        f"Nobody was held out, and there were fewer than {FEWEST} contacts a week about {reason} before the first"
        " outreach: too few to say how they changed."
    )


def _against_others(reason: str, found: Change, before: int, after: int) -> str:
    return (
        f"Contacts about {reason} changed by {_percent(found.change)} a week (95 % interval: {_range(found)}) against"
        f" contacts about reasons that nobody was told about, {before} weeks before and {after} after the first"
        " outreach. Nobody was held out: whatever else happened to this reason alone is in that figure too."
    )


def _before_after(reason: str, found: Change, before: int, after: int, *, drifted: bool) -> str:
    why = " Other reasons moved differently before already, so they are no comparison." if drifted else ""
    return (
        f"Contacts about {reason} changed by {_percent(found.change)} a week (95 % interval: {_range(found)}) against"
        f" their own trend, {before} weeks before and {after} after the first outreach. Nobody was held out and nothing"
        f" is compared: a season, a repair or a release at that time looks the same.{why}"
    )


def _percent(change: float) -> str:
    return f"{100 * change:+.0f} %"


def _range(found: Change) -> str:
    return f"{_percent(found.low)} to {_percent(found.high)}"
