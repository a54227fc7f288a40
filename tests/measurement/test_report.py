"""What is known about each reason: pooled as it may be, graded, and said in sentences that hold."""

import random

import pytest

from tellfirst.domain.beside import BesideCounts
from tellfirst.domain.figures import OutcomeRecord, OutreachFigures, Sums
from tellfirst.measurement.intervals import newcombe
from tellfirst.measurement.means import mean_difference
from tellfirst.measurement.pooling import Stratum, mantel_haenszel
from tellfirst.measurement.pools import Pool
from tellfirst.measurement.report import ReasonReport, forest, report
from tellfirst.measurement.scores import koopman
from tellfirst.measurement.sequential import reading
from tellfirst.measurement.series import Change, SeriesEvidence
from tests.figures import Figure
from tests.measurement.recorded import REFERENCE, figures, outcome


def only(*recorded: OutcomeRecord) -> ReasonReport:
    """Returns the report of one reason."""
    [one] = report(recorded)
    return one


def found(*recorded: OutcomeRecord) -> Pool:
    """Returns what the one reason is judged by."""
    one = only(*recorded).found
    assert one is not None
    return one


def test_the_reference_counts_give_the_reference_report(figure: Figure) -> None:
    made = report(REFERENCE)
    assert [(one.reason_code, one.grade, one.marked) for one in made] == [
        ("where_is_my_order", "A", True),
        ("payment_failed", "A", True),
        ("onboarding", "A", False),
        ("appointment", "B", False),
    ]
    order, payment, onboarding, appointment = made
    assert order.sentences[:4] == (
        "Of the accounts chosen to be told first, 1,314 of 18,041 (7.3 %) contacted support about where_is_my_order; of"
        " those held out, 241 of 2,007 (12.0 %): 4.7 percentage points lower (95 % interval: 3.3 to 6.3 lower).",
        "Telling them first very likely lowered that share: chance alone would rarely give such a difference.",
        "By estimate 852 accounts did not have to contact support for it (95 % interval: 599 to 1,130).",
        "That is a deflection of 39 % (95 % interval: 31 to 47 %) of what would have been without it.",
    )
    assert "By estimate 165 accounts did not have to" in payment.sentences[2]
    assert onboarding.sentences[1:3] == (
        "That is not evidence that telling them first changed that share, nor that it did not.",
        "The data fit anything from 20 more accounts contacting support for it to 89 fewer.",
    )
    assert appointment.sentences[1] == "That is too few accounts, or too few contacts, to conclude anything from."
    assert [one.sentences[-1].partition(" (")[0] for one in made] == [
        "With this hold-out you can see 2.0 points or more",
        "With this hold-out you can see 5.2 points or more",
        "With this hold-out you can see 6.4 points or more",
        "With this hold-out you can see no fall at all, not even one to nothing: it is too small.",
    ]
    for one in made:
        assert one.found
        assert one.found.difference
        of = one.found.difference
        figure(
            f"report, {one.reason_code}: grade {one.grade}, {of.difference:+.4f} [{of.low:+.4f}, {of.high:+.4f}]"
            f"{' *' if one.marked else ''}"
        )


def test_a_single_outreach_is_compared_by_newcombe_and_koopman() -> None:
    one, exact, ratio = found(REFERENCE[1]), newcombe(208, 2_712, 41, 298), koopman(208, 2_712, 41, 298)
    assert one.difference == exact
    assert one.relative is not None
    assert ratio.ratio is not None
    assert ratio.high is not None
    assert (one.relative.value, one.relative.low, one.relative.high) == pytest.approx(
        (ratio.ratio - 1, ratio.low - 1, ratio.high - 1)
    )
    assert one.avoided is not None
    assert (one.avoided.value, one.avoided.low, one.avoided.high) == pytest.approx(
        (-exact.difference * 2_712, -exact.high * 2_712, -exact.low * 2_712)
    )


def test_outreaches_of_unlike_holdouts_are_compared_within_themselves() -> None:
    # Risk and hold-out are larger together: added up, the arms differ though nothing was changed anywhere.
    often = outcome("r", (500, 200), (500, 200), share=0.5, key="often")
    seldom = outcome("r", (9_000, 360), (1_000, 40), share=0.1, key="seldom")
    one = found(often, seldom)
    assert one.difference is not None
    assert one.difference.difference == pytest.approx(0)
    crude = 560 / 9_500 - 240 / 1_500
    assert crude < -0.1
    assert one.treated.rate == pytest.approx(one.control.rate), "rates differ by the difference, not by the mixture"
    # So are the shares of one outreach that changed its hold-out on the way.
    changed = outcome("r", (500, 200), (500, 200), share=0.5, more=figures((9_000, 360), (1_000, 40), 0.1))
    both = found(changed)
    assert both.difference is not None
    assert (both.outreaches, both.strata, both.difference) == (1, 2, one.difference)


def test_many_small_outreaches_are_pooled_by_mantel_and_haenszel() -> None:
    dice = random.Random(7)
    tables = [
        (9, sum(dice.random() < 0.2 for _ in range(9)), 3, sum(dice.random() < 0.4 for _ in range(3)))
        for _ in range(80)
    ]
    recorded = [outcome("r", (n, x), (m, y), share=0.25, key=f"{k}") for k, (n, x, m, y) in enumerate(tables)]
    one = found(*recorded)
    exact = mantel_haenszel([Stratum(n_t=n, events_t=x, n_c=m, events_c=y) for n, x, m, y in tables])
    assert exact is not None
    assert one.difference is not None
    assert (one.difference.difference, one.difference.low, one.difference.high) == (
        exact.difference,
        exact.low,
        exact.high,
    )
    assert one.grade == "B", "each too small alone; they are not made an A by being many"
    assert one.enough
    assert one.sentences[1].startswith(
        "Each of these outreaches is too small to conclude from alone; together: telling"
    )


def test_grades_are_never_pooled_together() -> None:
    one = only(
        outcome("r", (900, 60), (100, 15), key="a1"),
        outcome("r", (900, 70), (100, 12), key="a2"),
        outcome("r", (18, 2), (2, 1), key="b"),
        outcome("r", (900, 9), (500, 300), key="x"),
        outcome("r", (50, 5), (0, 0), share=0.0, key="e"),
        outcome("r", (50, 5), (0, 0), share=0.0, key="c", grade="C"),
    )
    assert one.grade == "A"
    assert [(some.grade, some.outreaches, some.treated.clusters) for some in one.pools] == [
        ("A", 2, 1_800),
        ("B", 1, 18),
        ("C", 1, 50),
        ("X", 1, 900),
        ("E", 1, 50),
    ]
    assert [some.difference is None for some in one.pools] == [False, False, True, True, True]
    for some in one.pools[2:]:
        assert {some.relative, some.avoided, some.p, some.power} == {None}
        assert "deflection" not in " ".join(some.sentences)
    assert one.pools[3].treated.rate is None, "a broken split withholds even the shares"


def test_a_split_that_is_odd_only_together_withholds_the_numbers() -> None:
    # 60 of 500 where 50 are expected: alone nothing, ten times over no chance.
    recorded = [outcome("r", (440, 40), (60, 9), key=f"{key}") for key in range(10)]
    assert {one.grade for one in recorded} == {"A"}
    one = only(*recorded)
    assert one.grade == "X"
    assert one.found is None
    assert one.pools[0].ratio_p < 0.001
    assert {(line.grade, line.difference, line.arms[0].rate) for line in one.outreaches} == {("X", None, None)}
    assert not any("lower" in line.sentence for line in one.outreaches)
    assert one.forest == ()
    assert "withheld" in one.sentences[0]


def test_a_split_that_is_odd_for_one_share_withholds_that_outreach() -> None:
    # The shares together look as drawn; within each nothing does.
    odd = outcome("r", (600, 50), (400, 50), share=0.5, more=figures((1_200, 90), (300, 30), 0.1), grade="A")
    one = only(odd)
    assert (one.grade, one.outreaches[0].grade, one.outreaches[0].difference) == ("X", "X", None)
    assert one.forest == ()


def test_an_outreach_with_an_empty_arm_is_left_out_and_named() -> None:
    one = found(outcome("r", (900, 60), (100, 15)), outcome("r", (3, 1), (0, 0), key="lonely", grade="A"))
    assert one.left_out == ("outreach/r/lonely/1",)
    assert one.treated.clusters == 900
    assert any(s.startswith("outreach/r/lonely/1 has an empty arm") for s in one.sentences)


def test_contacts_that_never_arrived_are_not_counted_as_none() -> None:
    unseen, alone = outcome("r", (500, 0), (50, 0), arrived=False), outcome("r", (500, 40), (0, 0), share=0.0, key="n")
    one = only(unseen, alone)
    assert [(some.grade, some.treated.rate) for some in one.pools] == [("E", 0.08), ("E", None)]
    assert "40 of 500 (8.0 %)" in one.sentences[0]
    assert "nothing can be said" in one.sentences[1]


def test_many_reasons_are_looked_at_together() -> None:
    # 0.03 alone is something, among ten comparisons in which nothing happened it is one of them.
    hint = outcome("hint", (900, 70), (900, 96), share=0.5)
    alone = only(hint)
    assert alone.marked
    assert "very likely lowered" in alone.sentences[1]
    rest = [outcome(f"r{key}", (900, 80), (900, 80 + key), share=0.5) for key in range(9)]
    one = next(one for one in report([hint, *rest]) if one.reason_code == "hint")
    assert not one.marked
    assert one.adjusted_p is not None
    assert one.adjusted_p > 0.05
    assert "of 10 reasons compared at once one looks so by chance: a hint, not a finding" in one.sentences[1]


def test_displacement_stands_beside_the_headline() -> None:
    arms = figures((900, 45), (900, 90), 0.5)
    moved = tuple(
        arm.model_copy(update={"elsewhere": other, "anyhow": arm.contacted + other})
        for arm, other in zip(arms, (90, 45), strict=True)
    )
    one = found(outcome("r", (900, 45), (900, 90), share=0.5).model_copy(update={"figures": moved}))
    assert one.elsewhere == newcombe(90, 900, 45, 900)
    assert one.anyhow is not None
    assert one.anyhow.difference == 0
    [said] = [s for s in one.sentences if "other reasons" in s]
    assert "5.0 percentage points higher" in said
    assert "came back under another name" in said
    assert "about any reason: no difference" in said


def test_means_are_adjusted_by_the_time_before_and_pooled_by_share() -> None:
    dice = random.Random(3)

    def clusters(n: int, mean: float) -> Sums:
        before = [dice.randrange(4) for _ in range(n)]
        return Sums.of((max(0.0, x * 0.5 + mean + dice.gauss(0, 0.3)), float(x)) for x in before)

    def with_sums(key: str, share: float, n: int) -> OutcomeRecord:
        arms = figures((n, n // 10), (n, n // 8), share)
        sums = [clusters(n, 1.0), clusters(n, 1.4)]
        return outcome("r", (n, n // 10), (n, n // 8), share=share, key=key).model_copy(
            update={
                "figures": tuple(
                    arm.model_copy(update={"contacts": some, "all_contacts": some, "anyhow": arm.contacted})
                    for arm, some in zip(arms, sums, strict=True)
                )
            }
        )

    single = with_sums("one", 0.5, 400)
    one = found(single)
    exact = mean_difference(single.figures[0].contacts, single.figures[1].contacts, adjust=True)
    assert one.contacts == exact
    assert exact.kept < 1
    assert one.net_avoided is not None
    assert one.net_avoided.value == pytest.approx(-exact.difference * 400)
    two = found(single, with_sums("two", 0.5, 300))
    assert two.contacts is not None
    assert two.contacts.error < exact.error


def test_whether_outreaches_differ_is_said_from_three_on() -> None:
    strong = [outcome("r", (2_000, 60), (2_000, 240), share=0.5, key=f"s{k}") for k in range(2)]
    none = [outcome("r", (2_000, 240), (2_000, 240), share=0.5, key=f"n{k}") for k in range(2)]
    assert found(*strong).spread is None
    one = found(*strong, *none)
    assert one.spread is not None
    assert one.spread.i2 > 0.9
    assert any("a further one may do anything" in s for s in one.sentences)
    alike = [outcome("r", (2_000, 200), (2_000, 230 + k), share=0.5, key=f"{k}") for k in range(4)]
    assert any("do not differ by more than chance" in s for s in found(*alike).sentences)


def test_open_windows_stand_apart_and_belong_to_no_figure() -> None:
    going = OutreachFigures(
        outreach="outreach/r/open/1", trigger="r", reason_code="r", figures=figures((900, 50), (900, 100), 0.5)
    )
    closed = outcome("r", (900, 60), (100, 15))
    [one] = report([closed], [going])
    assert one.pools == only(closed).pools
    [early] = one.early
    assert early.now == reading(50, 900, 100, 900).now
    assert "hold at every look" in early.sentence
    soon = going.model_copy(update={"figures": figures((90, 5), (90, 10), 0.5)})
    [alone] = report([], [soon])
    assert (alone.grade, alone.pools, alone.early[0].now) == ("B", (), None)
    assert alone.sentences == ("Too early to say anything: 15 accounts contacted support about r so far,"
                               " and bounds that hold at every look need 100.",)  # fmt: skip
    # With two shares the bounds are as wide as the pooled error makes them.
    two = going.model_copy(update={"figures": (*going.figures, *figures((900, 50), (100, 12), 0.1))})
    [both] = report([], [two])
    assert both.early[0].now is not None
    assert both.early[0].now.low < both.early[0].now.difference < both.early[0].now.high


def test_what_stands_beside_is_of_the_outreaches_that_are_judged() -> None:
    recorded = [outcome("r", (900, 60), (100, 15), key="a"), outcome("r", (18, 2), (2, 1), key="b")]
    counts = [BesideCounts(outreach=one.outreach, replied=1, tones={"thanks": 3}) for one in recorded]
    [one] = report(recorded, counts=counts)
    assert one.beside is not None
    assert one.beside.outreaches == 1
    assert [(tone.tone, tone.rate.events) for tone in one.beside.tones if tone.rate.events] == [("thanks", 3)]
    assert only(*recorded).beside is None


def test_weekly_contacts_speak_only_where_nobody_was_held_out() -> None:
    weekly = SeriesEvidence(
        reason_code="r", grade="C", change=Change(change=-0.2, low=-0.3, high=-0.1), weeks_before=9, weeks_after=5,
        apart_p=0.4, sentence="Contacts about r changed.",
    )  # fmt: skip
    told = outcome("r", (900, 90), (0, 0), share=0.0)
    [one] = report([told], series=[weekly])
    assert (one.grade, one.series, [some.grade for some in one.pools]) == ("C", weekly, ["E"])
    assert one.sentences[0] == weekly.sentence
    assert "deflection" not in " ".join(one.sentences)
    for drawn in (outcome("r", (900, 60), (100, 15)), outcome("r", (900, 9), (500, 300))):
        [one] = report([told.model_copy(update={"outreach": "outreach/r/e/1"}), drawn], series=[weekly])
        assert one.series is None
        assert one.grade in ("A", "X")


def test_the_forest_has_each_outreach_and_what_they_come_to() -> None:
    recorded = [outcome("r", (900, 60), (100, 15), key="a"), outcome("r", (900, 61), (100, 14), key="b")]
    one = only(*recorded)
    assert [(row.label, row.kind) for row in one.forest] == [
        ("outreach/r/a/1", "outreach"),
        ("outreach/r/b/1", "outreach"),
        ("together", "pooled"),
    ]
    [row] = forest([one])
    assert one.found
    assert one.found.difference
    assert (row.label, row.difference, row.clusters) == ("r", one.found.difference.difference, 2_000)


def test_without_a_contact_in_control_nothing_breaks() -> None:
    one = found(outcome("r", (900, 6), (100, 0)))
    assert one.relative is None
    assert one.power is None
    none = found(outcome("r", (900, 0), (100, 0)), outcome("r", (900, 0), (100, 0), key="two"))
    assert none.p == 1
    assert none.sentences[0].count("no difference") == 1
