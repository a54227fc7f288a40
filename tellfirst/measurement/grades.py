"""How far a number may be trusted: the grade that stands beside every figure, and the sentence that says why."""

from tellfirst.domain.base import Frozen
from tellfirst.domain.outcome import Grade

BROKEN_RATIO = 0.001
"""Below this probability the split is broken: one false alarm in a thousand outreaches."""

FEW_CONTACTS = 5
FEW_CLUSTERS = 30
"""Fewer contacted accounts in both arms together, or a smaller arm, and one more account tells another story.

The interval stays honest there (it covers 95 % already at 27 against 3), but it is some 0.75 wide: true and useless.
"""


class Grading(Frozen):
    """Is a grade and the sentence that gives its reason."""

    grade: Grade
    sentence: str


def grade(
    *, treated: int, control: int, contacted: int, ratio_p: float, window_closed: bool, watermark_passed: bool
) -> Grading:
    """Returns the grade of a comparison of `treated` and `control` clusters, `contacted` in both together.

    X: the sample ratio is broken (`ratio_p` below 0.001). E: an arm is empty, or the window closed and contacts up to
    its end never arrived. B: the window is open, fewer than 5 contacted, or an arm under 30 clusters. A: the rest.
    The worst that applies wins, in the order X, E, B.
    """
    if ratio_p < BROKEN_RATIO:
        return Grading(
            grade="X",
            sentence="The accounts are not split between the arms as chance would split them, so any difference may"
            " come from the split itself: the number is withheld until the cause is found.",
        )
    if not treated and not control:
        return Grading(grade="E", sentence="Nobody was assigned, so there is nothing to compare.")
    if window_closed and not watermark_passed:
        return Grading(
            grade="E",
            sentence="The records of contacts never reached the end of the window, so contacts after outreach"
            " could not be counted.",
        )
    if not control:
        return Grading(
            grade="E",
            sentence="Nobody was held out, so this counts contacts after outreach;"
            " it cannot say how many there would have been without it.",
        )
    if not treated:
        return Grading(grade="E", sentence="Everybody was held out, so there is no contact after outreach to compare.")
    if not window_closed:
        return Grading(
            grade="B",
            sentence="This is an early reading: the window is still open, the figures will move,"
            " and the interval holds only for one look. Wait for the close before deciding on it.",
        )
    if contacted < FEW_CONTACTS or min(treated, control) < FEW_CLUSTERS:
        return Grading(
            grade="B",
            sentence="The accounts were assigned by chance, but there are too few of them, or too few contacts,"
            " to conclude anything from this outreach alone.",
        )
    return Grading(
        grade="A",
        sentence="The accounts were assigned by chance, the split is as drawn, and the window is closed"
        " with its contacts counted.",
    )
