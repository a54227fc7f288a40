"""What customers say of it: both arms' answers to one question, and whether they may be compared at all.

Only who answers is heard. Where telling people changes who answers, the arms' means differ for that reason alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import sqrt

from tellfirst.domain.base import Frozen
from tellfirst.domain.figures import Sums
from tellfirst.domain.outcome import Arm
from tellfirst.domain.survey import SCORES, SurveyFigures, SurveyKind
from tellfirst.measurement.intervals import Difference, newcombe, wilson
from tellfirst.measurement.means import mean_difference
from tellfirst.measurement.numerics import t_two_sided, two_sided
from tellfirst.measurement.pooling import Stratum, mantel_haenszel

ALIKE = 0.10
"""How far apart the arms' response rates may lie, at 95 %, for their scores to be compared."""
NAMES: dict[SurveyKind, str] = {"csat": "satisfaction", "ces": "ease"}


class Interval(Frozen):
    """Is a figure with its 95 % interval."""

    value: float
    low: float
    high: float


class SurveyArm(Frozen):
    """Is one arm by cluster: drawn to be asked, asked, answered; `response` is of those asked, `score` 1 to 5."""

    arm: Arm
    drawn: int
    asked: int
    answered: int
    response: Interval | None
    score: Interval | None


class SurveyReading(Frozen):
    """Is what the surveys about one reason say.

    `response_gap` is treated minus control of those who answered among those drawn; `difference` that of the scores,
    None unless as many answer in both arms. `welcome` is of clusters that were told and said how that was. `warning`
    says why there is no difference.
    """

    reason_code: str
    kind: SurveyKind
    outreaches: int
    arms: tuple[SurveyArm, ...]
    response_gap: Difference | None
    difference: Interval | None
    welcome: Interval | None
    said: int
    warning: str
    sentences: tuple[str, ...]


def read_surveys(figures: Sequence[SurveyFigures]) -> list[SurveyReading]:
    """Returns a reading for each reason and kind of question, in the order of their names."""
    alike: dict[tuple[str, SurveyKind], list[SurveyFigures]] = defaultdict(list)
    for one in figures:
        alike[one.reason_code, one.kind].append(one)
    return [_read(reason, kind, of) for (reason, kind), of in sorted(alike.items())]


def _read(reason: str, kind: SurveyKind, figures: Sequence[SurveyFigures]) -> SurveyReading:
    strata = _strata(figures)
    arms = tuple(_arm(arm, [one for one in figures if one.arm == arm]) for arm in _arms(figures))
    gap = _gap(strata)
    warning = _warning(arms, gap)
    difference = None if warning else _difference(strata)
    if not warning and difference is None:
        warning = "too few answers to compare the arms"
    told = [one for one in figures if one.arm == "treated"]
    welcome, said = sum(one.welcome for one in told), sum(one.welcome + one.intrusive for one in told)
    share = Interval(value=welcome / said, **_ends(*wilson(welcome, said))) if said else None
    return SurveyReading(
        reason_code=reason,
        kind=kind,
        outreaches=len({one.outreach for one in figures}),
        arms=arms,
        response_gap=gap,
        difference=difference,
        welcome=share,
        said=said,
        warning=warning,
        sentences=tuple(_sentences(kind, arms, difference, share, said, warning)),
    )


def _arms(figures: Iterable[SurveyFigures]) -> list[Arm]:
    there = {one.arm for one in figures}
    order: tuple[Arm, ...] = ("treated", "control")
    return [arm for arm in order if arm in there]


def _strata(figures: Sequence[SurveyFigures]) -> list[tuple[SurveyFigures, SurveyFigures]]:
    """Returns treated and control as they were drawn together: of one outreach, with one share."""
    found: dict[tuple[str, float], dict[Arm, SurveyFigures]] = defaultdict(dict)
    for one in figures:
        found[one.outreach, one.share][one.arm] = one
    return [(of["treated"], of["control"]) for of in found.values() if len(of) == len(("treated", "control"))]


def _arm(arm: Arm, figures: Sequence[SurveyFigures]) -> SurveyArm:
    drawn, asked, answered = (sum(getattr(one, name) for one in figures) for name in ("drawn", "asked", "answered"))
    heard = min(answered, asked)  # an answer to a message in doubt shows that it came
    response = Interval(value=heard / asked, **_ends(*wilson(heard, asked))) if asked else None
    n, y, yy = (sum(getattr(one.scores, name) for one in figures) for name in ("n", "y", "yy"))
    return SurveyArm(
        arm=arm, drawn=drawn, asked=asked, answered=answered, response=response, score=_mean(Sums(n=n, y=y, yy=yy))
    )


def _mean(scores: Sums) -> Interval | None:
    if scores.n < 2:
        return None
    mean = scores.y / scores.n
    half = t_two_sided(0.95, scores.n - 1) * sqrt(_variance(scores) / scores.n)
    return Interval(value=mean, low=max(min(SCORES), mean - half), high=min(max(SCORES), mean + half))


def _variance(scores: Sums) -> float:
    return max(0.0, scores.yy - scores.y * scores.y / scores.n) / (scores.n - 1)


def _gap(strata: Sequence[tuple[SurveyFigures, SurveyFigures]]) -> Difference | None:
    """Returns the difference in answers among those drawn: who stopped messages before being asked did not answer."""
    counts = [(t.answered, t.drawn, c.answered, c.drawn) for t, c in strata if t.drawn and c.drawn]
    if len(counts) == 1:
        return newcombe(*counts[0])
    pooled = mantel_haenszel([Stratum(events_t=a, n_t=b, events_c=c, n_c=d) for a, b, c, d in counts])
    return pooled and Difference(difference=pooled.difference, low=pooled.low, high=pooled.high)


def _warning(arms: Sequence[SurveyArm], gap: Difference | None) -> str:
    if len(arms) < len(("treated", "control")) or gap is None:
        return "nobody was held out, so there is nothing to compare with"
    if gap.low > 0 or gap.high < 0:
        more = "those who were told" if gap.difference > 0 else "those who were not told"
        return f"the scores are not compared: more of {more} answered, so other people are heard in each arm"
    if gap.low < -ALIKE or gap.high > ALIKE:
        return "the scores are not compared: too few were asked to know whether as many answer in both arms"
    return ""


def _difference(strata: Sequence[tuple[SurveyFigures, SurveyFigures]]) -> Interval | None:
    """Returns the difference of the scores, each outreach compared within itself and weighed by its answers."""
    used = [(t.scores, c.scores) for t, c in strata if min(t.scores.n, c.scores.n) > 1]
    if not used:
        return None
    if len(used) == 1:
        one = mean_difference(*used[0])
        return Interval(value=one.difference, low=one.low, high=one.high)
    weights = [t.n * c.n / (t.n + c.n) for t, c in used]
    means = [t.y / t.n - c.y / c.n for t, c in used]
    variances = [_variance(t) / t.n + _variance(c) / c.n for t, c in used]
    value = sum(w * mean for w, mean in zip(weights, means, strict=True)) / sum(weights)
    error = sqrt(sum(w * w * v for w, v in zip(weights, variances, strict=True))) / sum(weights)
    half = two_sided(0.95) * error
    return Interval(value=value, low=value - half, high=value + half)


def _ends(low: float, high: float) -> dict[str, float]:
    return {"low": low, "high": high}


def _sentences(
    kind: SurveyKind,
    arms: Sequence[SurveyArm],
    difference: Interval | None,
    welcome: Interval | None,
    said: int,
    warning: str,
) -> Iterable[str]:
    names = {"treated": "told", "control": "held out"}
    for arm in arms:
        rate = f" ({arm.response.value:.0%})" if arm.response else ""
        score = f"; {NAMES[kind]} {_told(arm.score, '.2f')} of 5" if arm.score else ""
        yield f"{names[arm.arm]}: {arm.answered:,} of {arm.asked:,} asked answered{rate}{score}"
    if warning:
        yield warning
    if difference is not None:
        sure = "" if difference.low > 0 or difference.high < 0 else ", which may be chance"
        yield f"{NAMES[kind]} told minus held out: {_told(difference, '+.2f')}{sure}; among those who answer"
    if welcome is not None:
        yield f"{_told(welcome, '.0%')} of {said:,} who were told and said so found it welcome"


def _told(of: Interval, form: str) -> str:
    return f"{of.value:{form}} [{of.low:{form}}, {of.high:{form}}]"
