"""The judgement at the close: counts per arm in, a recorded outcome with a sentence out."""

from collections.abc import Sequence

from tellfirst.domain.figures import ArmFigures
from tellfirst.domain.outcome import Arm, ArmOutcome, Grade, Outcome
from tellfirst.measurement.grades import grade
from tellfirst.measurement.intervals import Difference, newcombe
from tellfirst.measurement.pools import contacted, difference, pairs, pool, together_p
from tellfirst.measurement.srm import sample_ratio_p
from tellfirst.measurement.wording import interval, part, points, size

_CHANCE = "chance alone would rarely give such a difference."

WITHHELD: frozenset[Grade] = frozenset({"X", "E"})


def judge(
    treated: tuple[int, int],
    control: tuple[int, int],
    holdout: float,
    window_closed: bool,
    watermark_passed: bool,
    reason_code: str,
) -> Outcome:
    """Returns the outcome of one outreach from (clusters, contacted) per arm, by intention to treat.

    Everybody who was randomised counts in the arm drawn, reached or not. `holdout` is the share (0 to 1) at the
    draw; arms of different shares are never added up. While the window is open, give only rows whose own window is
    over. Raises ValueError for counts that cannot be.
    """
    (n_t, x_t), (n_c, x_c) = treated, control
    return _judged(
        (_arm("treated", n_t, x_t), _arm("control", n_c, x_c)),
        ratio_p=sample_ratio_p(n_t, n_c, holdout),
        found=newcombe(x_t, n_t, x_c, n_c) if n_t and n_c else None,
        window_closed=window_closed,
        watermark_passed=watermark_passed,
        reason_code=reason_code,
    )


def judge_figures(
    figures: Sequence[ArmFigures], *, window_closed: bool, watermark_passed: bool, reason_code: str
) -> Outcome:
    """Returns the same of figures as they were counted.

    Where there are several hold-out shares, each is compared within itself: the difference is Mantel and Haenszel's,
    and the rates have its weights. A share of which one arm is empty compares nothing.
    """
    strata = pairs("", figures)
    if len(strata) > 1:
        return _judged(
            pool("A", strata).arms,
            ratio_p=together_p(strata),
            found=difference(strata, contacted),
            window_closed=window_closed,
            watermark_passed=watermark_passed,
            reason_code=reason_code,
        )
    counts = [(one.clusters, one.contacted) for pair in strata for one in (pair.treated, pair.control)]
    treated, control = counts or [(0, 0), (0, 0)]
    share = strata[0].share if strata else 0.0
    return judge(treated, control, share, window_closed, watermark_passed, reason_code)


def phased(outcome: Outcome) -> Outcome:
    """Returns the outcome of an outreach that told everybody in the end, with the sentence that says so."""
    return outcome.model_copy(
        update={
            "sentence": f"{outcome.sentence} Whoever counts as held out was told in a later phase, which chance chose;"
            " only what came before that phase is compared."
        }
    )


def _judged(
    arms: tuple[ArmOutcome, ...],
    *,
    ratio_p: float,
    found: Difference | None,
    window_closed: bool,
    watermark_passed: bool,
    reason_code: str,
) -> Outcome:
    treated, control = arms
    grading = grade(
        treated=treated.clusters,
        # Both arms may have accounts and still none that can be compared, each having a hold-out share of its own.
        control=control.clusters if found else 0,
        contacted=treated.contacted + control.contacted,
        ratio_p=ratio_p,
        window_closed=window_closed,
        watermark_passed=watermark_passed,
    )
    hidden = grading.grade == "X" or (window_closed and not watermark_passed)
    if hidden:
        arms = tuple(arm.model_copy(update={"rate": None}) for arm in arms)
    if found is None or grading.grade in WITHHELD:
        told = ""
        if treated.clusters and not hidden:
            so_far = "" if window_closed else "so far "
            told = f"Of the accounts in this outreach, {so_far}{_of(treated)} contacted support about {reason_code}. "
        return Outcome(
            reason_code=reason_code,
            arms=arms,
            difference=None,
            ci_low=None,
            ci_high=None,
            grade=grading.grade,
            sentence=told + grading.sentence,
        )
    sentence = (
        f"Of the accounts chosen to be told first, {_of(treated)} contacted support about {reason_code};"
        f" of those held out, {_of(control)}: {points(found.difference)}"
        f" (95 % interval: {interval(found)})."
    )
    if grading.grade == "A":
        sentence += f" {_verdict(found)}"
    return Outcome(
        reason_code=reason_code,
        arms=arms,
        difference=found.difference,
        ci_low=found.low,
        ci_high=found.high,
        grade=grading.grade,
        sentence=f"{sentence} {grading.sentence}",
    )


def _arm(name: Arm, clusters: int, contacted: int) -> ArmOutcome:
    rate = contacted / clusters if clusters else None
    return ArmOutcome(arm=name, clusters=clusters, contacted=contacted, rate=rate)


def _verdict(found: Difference) -> str:
    if found.high < 0:
        return f"Telling them first very likely lowered that share: {_CHANCE}"
    if found.low > 0:
        return f"Telling them first very likely raised that share: {_CHANCE}"
    return "That is not evidence that telling them first changed that share, nor that it did not."


def _of(arm: ArmOutcome) -> str:
    rate, n = arm.rate or 0.0, arm.clusters
    if abs(rate * n - arm.contacted) > 1e-6 * n:
        return f"{size(rate)} % of {n:,}"  # weighted: the counts would give another share
    return part(arm.contacted, n)
