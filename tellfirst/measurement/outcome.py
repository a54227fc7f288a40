"""The judgement at the close: counts per arm in, a recorded outcome with a sentence out."""

from tellfirst.domain.outcome import Arm, ArmOutcome, Grade, Outcome
from tellfirst.measurement.grades import grade
from tellfirst.measurement.intervals import Difference, newcombe
from tellfirst.measurement.srm import sample_ratio_p

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
    grading = grade(
        treated=n_t,
        control=n_c,
        contacted=x_t + x_c,
        ratio_p=sample_ratio_p(n_t, n_c, holdout),
        window_closed=window_closed,
        watermark_passed=watermark_passed,
    )
    uncounted = window_closed and not watermark_passed
    hidden = grading.grade == "X" or uncounted
    arms = (_arm("treated", n_t, x_t, hidden), _arm("control", n_c, x_c, hidden))
    if grading.grade in WITHHELD:
        told = ""
        if n_t and not hidden:
            so_far = "" if window_closed else "so far "
            told = f"Of the accounts in this outreach, {so_far}{_of(x_t, n_t)} contacted support about {reason_code}. "
        return Outcome(
            reason_code=reason_code,
            arms=arms,
            difference=None,
            ci_low=None,
            ci_high=None,
            grade=grading.grade,
            sentence=told + grading.sentence,
        )
    found = newcombe(x_t, n_t, x_c, n_c)
    sentence = (
        f"Of the accounts chosen to be told first, {_of(x_t, n_t)} contacted support about {reason_code};"
        f" of those held out, {_of(x_c, n_c)}: {_points(found.difference)}"
        f" (95 % interval: {_interval(found)})."
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


def _arm(name: Arm, clusters: int, contacted: int, hidden: bool) -> ArmOutcome:
    rate = None if hidden or not clusters else contacted / clusters
    return ArmOutcome(arm=name, clusters=clusters, contacted=contacted, rate=rate)


def _verdict(found: Difference) -> str:
    if found.high < 0:
        return f"Telling them first very likely lowered that share: {_CHANCE}"
    if found.low > 0:
        return f"Telling them first very likely raised that share: {_CHANCE}"
    return "That is not evidence that telling them first changed that share, nor that it did not."


def _of(events: int, n: int) -> str:
    return f"{events:,} of {n:,} ({_size(events / n)} %)"


def _size(fraction: float) -> str:
    points = abs(100 * fraction)
    return f"{points:.1f}" if points >= 0.1 or points == 0 else f"{points:.2f}"


def _points(change: float) -> str:
    if change == 0:
        return "no difference"
    return f"{_size(change)} percentage points {'lower' if change < 0 else 'higher'}"


def _interval(found: Difference) -> str:
    if found.high < 0:
        return f"{_size(found.high)} to {_size(found.low)} lower"
    if found.low > 0:
        return f"{_size(found.low)} to {_size(found.high)} higher"
    return f"from {_size(found.low)} lower to {_size(found.high)} higher"
