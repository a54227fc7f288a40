"""The report: recorded outcomes in, what is known about each reason code out. Tables, pages and files show the same."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from tellfirst.domain.base import Frozen
from tellfirst.domain.beside import BesideCounts
from tellfirst.domain.figures import OutcomeRecord, OutreachFigures
from tellfirst.domain.outcome import ArmOutcome, Grade
from tellfirst.domain.survey import SurveyFigures
from tellfirst.measurement.beside import Beside, beside
from tellfirst.measurement.costs import CostRates
from tellfirst.measurement.grades import BROKEN_RATIO
from tellfirst.measurement.intervals import Difference
from tellfirst.measurement.multiple import benjamini_hochberg
from tellfirst.measurement.pooling import Pooled
from tellfirst.measurement.pools import Pair, Pool, both_arms, contacted, difference, pairs, pool
from tellfirst.measurement.sentences import SURE, details, early, headline, likely, verdict, withheld
from tellfirst.measurement.sequential import EARLY, confidence_margin, reading
from tellfirst.measurement.series import SeriesEvidence
from tellfirst.measurement.surveys import SurveyReading, read_surveys

ORDER: tuple[Grade, ...] = ("A", "B", "C", "D", "X", "E")
"""The grades, that which may be used first."""
DRAWN: frozenset[Grade] = frozenset({"A", "B", "X"})
"""The grades of what was drawn by chance."""


class OutreachLine(Frozen):
    """Is the recorded outcome of one outreach; `arms` and `difference` as in `Pool`, None where it is withheld."""

    outreach: str
    trigger: str
    grade: Grade
    arms: tuple[ArmOutcome, ...]
    difference: Difference | None
    sentence: str
    recorded_at: datetime
    first_t0: datetime | None
    last_t0: datetime | None


class ForestRow(Frozen):
    """Is one line of a forest plot: a difference of shares with its interval, fractions from -1 to 1, and its size."""

    label: str
    kind: Literal["outreach", "pooled"]
    grade: Grade
    difference: float
    low: float
    high: float
    clusters: int


class EarlyReading(Frozen):
    """Is what an outreach with an open window looks like; `now` is None while it is too early to say anything."""

    outreach: str
    trigger: str
    contacted: int
    now: Difference | None
    sentence: str


class ReasonReport(Frozen):
    """Is what is known about one reason code.

    `pools` hold the outreaches by grade, the best grade first and never two grades in one; the first is what the
    reason is judged by, and `grade` is its. `adjusted_p` is its probability adjusted for all reasons of the report,
    `marked` whether it is below 0.05 then. `early` are open windows and belong to no figure. `beside` is what
    stands beside the first of the pools, None where it was not counted; `surveys` are of all outreaches. `series` of
    weekly contacts is what is left where nobody was held out; `grade` is then its.
    """

    reason_code: str
    grade: Grade
    pools: tuple[Pool, ...]
    adjusted_p: float | None
    marked: bool
    outreaches: tuple[OutreachLine, ...]
    early: tuple[EarlyReading, ...]
    forest: tuple[ForestRow, ...]
    beside: Beside | None = None
    surveys: tuple[SurveyReading, ...] = ()
    series: SeriesEvidence | None = None

    @property
    def found(self) -> Pool | None:
        """Returns the pool that the reason is judged by, None unless it has a difference."""
        return self.pools[0] if self.pools and self.pools[0].difference else None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Returns what may be repeated, the most important first."""
        said = tuple(sentence for one in self.pools for sentence in one.sentences)
        said = (self.series.sentence, *said) if self.series else said
        return said or tuple(one.sentence for one in self.outreaches) or tuple(one.sentence for one in self.early)


def report(
    recorded: Iterable[OutcomeRecord],
    running: Iterable[OutreachFigures] = (),
    *,
    counts: Iterable[BesideCounts] = (),
    rates: CostRates | None = None,
    surveys: Sequence[SurveyFigures] = (),
    series: Iterable[SeriesEvidence] = (),
) -> tuple[ReasonReport, ...]:
    """Returns what `recorded` outcomes and `running` outreaches say about each reason code, the largest first.

    `counts` of what stands beside the outcomes, with the `rates` of time, and `surveys` belong to the same outreaches.
    `series` of weekly contacts speak only for reasons of which no outreach held anybody out.
    """
    closed: dict[str, list[OutcomeRecord]] = defaultdict(list)
    going: dict[str, list[OutreachFigures]] = defaultdict(list)
    for one in recorded:
        closed[one.reason_code].append(one)
    for other in running:
        going[other.reason_code].append(other)
    groups = {code: _groups(closed.get(code, ())) for code in closed | going}
    judged = {code: some[0][1].p for code, some in groups.items() if some and some[0][1].enough}
    adjusted = dict(zip(judged, benjamini_hochberg([p for p in judged.values() if p is not None]), strict=True))
    weekly = {one.reason_code: one for one in series}
    by_outreach, heard = {one.outreach: one for one in counts}, read_surveys(surveys)
    reports = []
    for code, some in groups.items():
        pools = [of for _, of in some]
        # What is odd together is odd in each: an outreach has the grade of those it stands with.
        grades = {one.outreach: of.grade for outcomes, of in some for one in outcomes}
        own = closed.get(code, ()), going.get(code, ())
        plain = _reason(code, pools, *own, grades, adjusted.get(code), len(adjusted))
        more: dict[str, object] = {
            "beside": _beside(code, *some[0], by_outreach, rates) if some else None,
            "surveys": tuple(reading for reading in heard if reading.reason_code == code),
        }
        evidence = weekly.get(code) if all(of.grade not in DRAWN for of in pools) else None
        if evidence is not None:
            more |= {"series": evidence, "grade": evidence.grade}
        reports.append(plain.model_copy(update=more))
    return tuple(sorted(reports, key=lambda one: (-_size(one), one.reason_code)))


def forest(reasons: Iterable[ReasonReport]) -> tuple[ForestRow, ...]:
    """Returns one row per reason that has a difference, in the order given."""
    return tuple(
        _row(one.reason_code, some, some.difference) for one in reasons if (some := one.found) and some.difference
    )


def _reason(
    code: str,
    pools: Sequence[Pool],
    closed: Sequence[OutcomeRecord],
    going: Sequence[OutreachFigures],
    grades: Mapping[str, Grade],
    adjusted_p: float | None,
    compared: int,
) -> ReasonReport:
    lines = tuple(_line(one, grades.get(one.outreach, one.grade)) for one in closed)
    readings = tuple(_early(one) for one in going)
    told = tuple(
        one.model_copy(update={"sentences": _said(one, code, None if place else adjusted_p, compared)})
        for place, one in enumerate(pools)
    )
    drawn = tuple(
        ForestRow(
            label=line.outreach,
            kind="outreach",
            grade=line.grade,
            difference=line.difference.difference,
            low=line.difference.low,
            high=line.difference.high,
            clusters=sum(arm.clusters for arm in line.arms),
        )
        for line in lines
        if line.difference
    )
    best = [one.grade for one in pools] or [line.grade for line in lines] or ["B"]
    return ReasonReport(
        reason_code=code,
        grade=best[0],
        pools=told,
        adjusted_p=adjusted_p,
        marked=adjusted_p is not None and adjusted_p < SURE and likely(pools[0]),
        outreaches=lines,
        early=readings,
        forest=(
            *drawn,
            *(_row("together", one, one.difference) for one in pools if one.difference),
        ),
    )


def _said(one: Pool, code: str, adjusted_p: float | None, compared: int) -> tuple[str, ...]:
    judged = verdict(one, adjusted_p, compared)
    return (headline(one, code), *((judged,) if judged else ()), *details(one))


def _beside(
    code: str,
    outcomes: Sequence[OutcomeRecord],
    of: Pool,
    counts: Mapping[str, BesideCounts],
    rates: CostRates | None,
) -> Beside | None:
    counted = [counts[one.outreach] for one in outcomes if one.outreach in counts]
    if not counted:
        return None
    some = [(one.outreach, one.figures) for one in outcomes]
    here = all(one.counted for one in outcomes)
    return beside(of.grade, some, counts=counted, rates=rates, reason_code=code, counted=here)


def _grade(one: OutcomeRecord) -> Grade:
    """Returns the grade recorded, or X when one of several hold-out shares is not as drawn; one alone was judged so."""
    strata = pairs(one.outreach, one.figures) if one.grade in ("A", "B") else []
    broken = len(strata) > 1 and any(stratum.ratio_p < BROKEN_RATIO for stratum in strata)
    return "X" if broken else one.grade


def _groups(closed: Sequence[OutcomeRecord]) -> list[tuple[list[OutcomeRecord], Pool]]:
    alike: dict[tuple[Grade, bool], list[OutcomeRecord]] = defaultdict(list)
    for one in closed:
        alike[_grade(one), one.counted].append(one)
    found = []
    for grade in ORDER:
        for counted in (True, False):
            some = alike.get((grade, counted), [])
            if strata := [stratum for one in some for stratum in pairs(one.outreach, one.figures)]:
                found.append((some, pool(grade, strata, counted=counted)))
    return found


def _line(one: OutcomeRecord, grade: Grade) -> OutreachLine:
    return OutreachLine(
        outreach=one.outreach,
        trigger=one.trigger,
        grade=grade,
        arms=both_arms(grade, pairs(one.outreach, one.figures), counted=one.counted),
        difference=None if grade == "X" else _recorded(one),
        sentence=withheld(1) if grade == "X" != one.grade else one.sentence,
        recorded_at=one.recorded_at,
        first_t0=one.first_t0,
        last_t0=one.last_t0,
    )


def _recorded(one: OutcomeRecord) -> Difference | None:
    if one.difference is None or one.ci_low is None or one.ci_high is None:
        return None
    return Difference(difference=one.difference, low=one.ci_low, high=one.ci_high)


def _early(one: OutreachFigures) -> EarlyReading:
    used = [stratum for stratum in pairs(one.outreach, one.figures) if stratum.comparable]
    events = sum(stratum.treated.contacted + stratum.control.contacted for stratum in used)
    now = _now(used, events) if used else None
    return EarlyReading(
        outreach=one.outreach,
        trigger=one.trigger,
        contacted=events,
        now=now,
        sentence=early(now, events, one.reason_code),
    )


def _now(used: Sequence[Pair], events: int) -> Difference | None:
    found = difference(used, contacted)
    if not isinstance(found, Pooled):
        [one] = used
        arms = (one.treated.contacted, one.treated.clusters, one.control.contacted, one.control.clusters)
        return reading(*arms).now
    if events < EARLY:
        return None
    half = confidence_margin(found.error**2, sum(one.treated.clusters + one.control.clusters for one in used))
    return Difference(
        difference=found.difference, low=max(-1.0, found.difference - half), high=min(1.0, found.difference + half)
    )


def _row(label: str, one: Pool, found: Difference) -> ForestRow:
    return ForestRow(
        label=label,
        kind="pooled",
        grade=one.grade,
        difference=found.difference,
        low=found.low,
        high=found.high,
        clusters=sum(arm.clusters for arm in one.arms),
    )


def _size(one: ReasonReport) -> int:
    return sum(arm.clusters for some in one.pools for arm in some.arms)
