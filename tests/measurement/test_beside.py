"""Everything beside the main figure, on numbers small enough to work out by hand."""

from typing import Any

import pytest

from tellfirst.domain.beside import AccountCount, BesideCounts, ChannelCount, SettledCount
from tellfirst.domain.figures import ArmFigures, Sums
from tellfirst.domain.outcome import Arm, Grade
from tellfirst.measurement.beside import Beside, beside
from tellfirst.measurement.costs import CostRates, Costs

NAME = "outreach/late_delivery/k-1/1"
# 36.00 an hour is one minor unit a second.
RATES = CostRates(currency="EUR", agent_hour=3_600, approver_minute=10, approval_minutes=5)
COUNTS = BesideCounts(outreach=NAME, message_micros=1_000_000, currency="EUR", approvals=2)


def sums(*of: float) -> Sums:
    return Sums.of((y, 0.0) for y in of)


def arm(name: Arm, about: list[float], every: list[float], seconds: list[float], **more: Any) -> ArmFigures:
    return ArmFigures(
        arm=name,
        share=0.5,
        clusters=len(about),
        contacted=sum(1 for one in about if one),
        anyhow=sum(1 for one in every if one),
        contacts=sums(*about),
        all_contacts=sums(*every),
        seconds=sums(*seconds),
        **more,
    )


TREATED = arm("treated", [0, 0, 0, 0], [0, 1, 0, 1], [0, 720, 0, 720])
CONTROL = arm("control", [2, 2, 3, 3], [3, 3, 4, 4], [1_080, 1_080, 1_800, 1_800])


def of(
    *figures: ArmFigures, grade: Grade = "A", counts: BesideCounts = COUNTS, rates: CostRates | None = RATES
) -> Beside:
    return beside(grade, [(NAME, figures)], counts=[counts], rates=rates, reason_code="where_is_my_order")


def costs(*figures: ArmFigures, **more: Any) -> Costs:
    found = of(*(figures or (TREATED, CONTROL)), **more).costs
    assert found is not None
    return found


def amount(found: Any) -> tuple[float, float, float]:
    return found.value, found.low, found.high


def test_handling_time_is_money_and_capacity() -> None:
    found = costs()
    # 360 s against 1,440 s; a variance of 172,800 in each arm of 4 is an error of 293.94, and t is 2.4469 for 6.
    assert (found.treated, found.control) == pytest.approx((360, 1_440))
    assert amount(found.handling) == pytest.approx((-1_080, -1_799.24, -360.76), abs=0.01)
    assert amount(found.hours) == pytest.approx((1.2, 0.40084, 1.99916), abs=1e-5)


def test_a_saving_is_less_what_telling_took() -> None:
    found = costs()
    # 1.00 EUR of messages and two decisions of 5 minutes at 0.10 are 2.00 EUR, 0.50 for each of the four.
    assert (found.messages, found.approvals, found.telling) == (100, 100, 50)
    assert amount(found.per_account) == pytest.approx((-1_030, -1_749.24, -310.76), abs=0.01)
    assert amount(found.saving) == pytest.approx((4_120, 1_243.04, 6_996.96), abs=0.03)
    # Three contacts fewer per account, 0.99895 either way: 12 avoided, 8.0042 to 15.9958.
    assert amount(found.per_avoided) == pytest.approx((16.6667, 12.5033, 24.9868), abs=1e-3)
    assert of(TREATED, CONTROL).sentences[1:] == (
        "Telling them first saved 41.20 EUR after what it cost (95 % interval: 12.43 EUR to 69.97 EUR).",
        "Agents' hours are capacity: they become money only where fewer hours are paid."
        " What left in cash are 1.00 EUR for messages.",
    )


def test_what_was_not_avoided_has_no_price() -> None:
    same = arm("control", [0, 1, 0, 1], [0, 1, 0, 1], [0, 720, 0, 720])
    found = costs(TREATED, same)
    assert found.per_avoided is None
    assert amount(found.saving)[0] == pytest.approx(-200)
    assert "cannot be said: it lies between a loss of" in " ".join(of(TREATED, same).sentences)


def test_where_telling_cost_more_that_is_said() -> None:
    assert "Telling them first cost 45.20 EUR more than it saved" in " ".join(
        of(CONTROL.model_copy(update={"arm": "treated"}), TREATED.model_copy(update={"arm": "control"})).sentences
    )


@pytest.mark.parametrize("counts", [COUNTS.model_copy(update={"message_micros": None}),
                                    COUNTS.model_copy(update={"currency": "USD"})])  # fmt: skip
def test_without_the_price_of_messages_there_is_no_saving(counts: BesideCounts) -> None:
    found = costs(counts=counts)
    assert (found.telling, found.per_account, found.saving, found.per_avoided) == (None, None, None, None)
    assert amount(found.handling)[0] == pytest.approx(-1_080)


def test_contacts_without_a_handle_time_are_told() -> None:
    some = TREATED.model_copy(update={"untimed": 1})
    found = costs(some, CONTROL)
    assert (found.contacts, found.untimed) == (16, 1)
    assert "Of 16 contacts 1 came without a handle time" in of(some, CONTROL).sentences[-1]
    assert of(TREATED.model_copy(update={"untimed": 2}), CONTROL.model_copy(update={"untimed": 14})).costs is None


def test_nothing_is_said_in_money_without_a_price_of_time() -> None:
    assert of(TREATED, CONTROL, rates=None).costs is None
    assert of(TREATED, CONTROL, rates=CostRates(currency="EUR")).costs is None


def test_what_came_back_elsewhere_has_a_sign() -> None:
    # About the reason 2.5 contacts fewer per account, about anything 3: half a contact fewer elsewhere.
    found = of(TREATED, CONTROL)
    assert found.displaced == pytest.approx(-0.2)
    assert found.sentences[0] == (
        "For each 10 contacts avoided about where_is_my_order, 2.0 fewer came about other reasons too."
        " Chance alone may have made that difference elsewhere."
    )
    # Nobody of four elsewhere against all four is more than chance gives.
    apart = of(TREATED.model_copy(update={"elsewhere": 0}), CONTROL.model_copy(update={"elsewhere": 4}))
    assert apart.sentences[0].endswith("2.0 fewer came about other reasons too.")
    # Four fewer about the reason, three about anything: one in four came back.
    back = arm("control", [3, 4, 4, 5], [3, 3, 4, 4], [0, 0, 0, 0])
    assert of(TREATED, back).displaced == pytest.approx(0.25)
    assert of(TREATED, back).sentences[0].startswith("Of each 10 contacts avoided about where_is_my_order, 2.5 came")


def test_where_no_contact_is_known_to_be_avoided_none_came_back() -> None:
    unclear = arm("control", [0, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0])
    found = of(TREATED, unclear)
    assert found.displaced is None
    assert not any("came" in sentence and "of each 10" in sentence.lower() for sentence in found.sentences)


def many(name: Arm, clusters: int, **more: Any) -> ArmFigures:
    return ArmFigures(arm=name, share=0.5, clusters=clusters, contacted=50, anyhow=50, **more)


def test_rates_by_arm_have_their_difference() -> None:
    found = of(
        many("treated", 80, elsewhere=48, repeated=20, opted_out=56, resolved=2, resolution=sums(3_600, 7_200)),
        many("control", 80, elsewhere=56, repeated=40, opted_out=48, resolved=1, resolution=sums(7_200)),
    )
    # Newcombe's own example, 56 and 48 of 80: 0.0524 to 0.3339 is of 70 and 80; here both are of 80.
    assert (found.opted_out.treated.events, found.opted_out.treated.n, found.opted_out.treated.rate) == (56, 80, 0.7)
    assert found.opted_out.difference is not None
    assert found.opted_out.difference.difference == pytest.approx(0.1)
    assert found.opted_out.difference.low < 0 < found.opted_out.difference.high
    assert found.opted_out_per_1000 is not None
    assert found.opted_out_per_1000.value == pytest.approx(700)
    # Of 50 who came, 20 came again: 30 were done at first; in control 10.
    first = found.resolved_first
    assert (first["treated"].events, first["control"].events, first["control"].n) == (30, 10, 50)
    assert found.resolution["treated"].value == pytest.approx(5_400)
    # A deviation of 2,545.58 over the root of 2 is 1,800; t of one degree is 12.7062; no time is below 0.
    assert (found.resolution["treated"].low, found.resolution["treated"].high) == pytest.approx((0, 28_271.2), abs=0.1)
    assert (found.resolution["control"].value, found.resolution["control"].low) == (7_200, None)


def test_the_split_that_is_broken_withholds_every_rate() -> None:
    settled = (
        SettledCount(arm="treated", share=0.5, clusters=900, settled=300),
        SettledCount(arm="control", share=0.5, clusters=100, settled=90),
    )
    found = of(many("treated", 900), many("control", 100), counts=COUNTS.model_copy(update={"settled": settled}))
    assert (found.elsewhere.treated.rate, found.elsewhere.difference, found.settled) == (None, None, None)
    assert (found.costs, found.displaced, found.sentences) == (None, None, ())
    assert (found.resolved_first, found.resolution) == ({}, {})


def test_where_contacts_never_came_no_rate_tells_of_them() -> None:
    some, counts = arm("treated", [1, 1], [1, 1], [0, 0]), COUNTS.model_copy(update={"replied": 1})
    found = beside("E", [(NAME, [some, CONTROL])], counts=[counts], rates=RATES, counted=False)
    assert (found.replied.events, found.replied.rate) == (1, None)
    assert (found.repeated.treated.rate, found.elsewhere.control.rate, found.resolved_first) == (None, None, {})
    assert (found.costs, found.opted_out_per_1000, found.sentences) == (None, None, ())


@pytest.mark.parametrize("grade", ["C", "D", "E"])
def test_without_a_draw_nothing_is_compared(grade: Grade) -> None:
    accounts = tuple(
        AccountCount(arm=name, share=0.5, days=30, accounts=80, events={"churned": 8})
        for name in ("treated", "control")
    )
    found = of(
        many("treated", 80), many("control", 80), grade=grade, counts=COUNTS.model_copy(update={"accounts": accounts})
    )
    assert (found.elsewhere.difference, found.opted_out.difference, found.costs) == (None, None, None)
    assert (found.accounts[0].by_arm.difference, found.values) == (None, ())
    assert found.opted_out.treated.rate == 0


def test_replies_are_told_as_the_contacts_they_are() -> None:
    replied = COUNTS.model_copy(update={"replied": 1})
    some = arm("treated", [1, 0, 2, 1], [1, 0, 2, 1], [0, 0, 0, 0])
    found = of(some, CONTROL, counts=replied).replied
    assert (found.events, found.n, found.rate) == (1, 4, 0.25)
    said = "Of the contacts of accounts told first, 1 of 4 was a reply to it; they count as contacts."
    assert said in of(some, CONTROL, counts=replied).sentences
    # Replies of after the close are in no figure.
    assert of(some, CONTROL, counts=COUNTS.model_copy(update={"replied": 9})).replied.events == 4


def test_opens_of_machines_stand_apart_and_silence_is_no_zero() -> None:
    channels = (
        ChannelCount(channel="email", sent=100, opened=20, machine=30, clicked=5),
        ChannelCount(channel="sms", sent=50),
    )
    email, sms = of(TREATED, CONTROL, counts=COUNTS.model_copy(update={"channels": channels})).channels
    assert email.opened is not None
    assert email.machine is not None
    assert email.clicked is not None
    assert (email.opened.rate, email.machine.rate, email.clicked.rate) == (0.2, 0.3, 0.05)
    assert (sms.channel, sms.opened, sms.machine, sms.clicked) == ("sms", None, None, None)


def test_tones_are_shares_of_the_replies_that_have_one() -> None:
    found = of(TREATED, CONTROL, counts=COUNTS.model_copy(update={"tones": {"thanks": 3, "angry": 1, "opt_out": 5}}))
    assert [(one.tone, one.rate.events, one.rate.n) for one in found.tones] == [
        ("thanks", 3, 4), ("neutral", 0, 4), ("why", 0, 4), ("angry", 1, 4)
    ]  # fmt: skip
    assert of(TREATED, CONTROL).tones == ()


def test_accounts_that_left_are_compared_where_both_arms_are_known() -> None:
    def counts(churned_c: int) -> BesideCounts:
        accounts = (
            AccountCount(arm="treated", share=0.5, days=30, accounts=4, events={"churned": 1, "expanded": 1},
                         value=sums(-500, 1_500, 0, 0)),
            AccountCount(arm="control", share=0.5, days=30, accounts=4, events={"churned": churned_c},
                         value=sums(*[-500] * churned_c, *[0] * (4 - churned_c))),
        )  # fmt: skip
        return COUNTS.model_copy(update={"accounts": accounts})

    found = of(TREATED, CONTROL, counts=counts(2))
    churned, expanded = found.accounts
    assert (churned.event, churned.days, churned.by_arm.treated.rate, churned.by_arm.control.rate) == (
        "churned", 30, 0.25, 0.5
    )  # fmt: skip
    assert churned.by_arm.difference is not None
    assert churned.by_arm.difference.difference == pytest.approx(-0.25)
    assert (expanded.event, expanded.by_arm.control.events) == ("expanded", 0)
    # 2.50 against -2.50 an account.
    [value] = found.values
    assert value.days == 30
    assert value.difference.difference == pytest.approx(500)
    alone = of(TREATED, CONTROL, counts=counts(0))
    assert (alone.accounts, alone.values) == ((), ())


def test_unlike_hold_outs_are_compared_within_themselves() -> None:
    # 100 of 900 against 20 of 100, and 40 of 100 against 80 of 100: -0.0889 and -0.4, weighed by 90 and 50.
    settled = (
        SettledCount(arm="treated", share=0.1, clusters=900, settled=100),
        SettledCount(arm="control", share=0.1, clusters=100, settled=20),
        SettledCount(arm="treated", share=0.5, clusters=100, settled=40),
        SettledCount(arm="control", share=0.5, clusters=100, settled=80),
    )
    found = of(TREATED, CONTROL, counts=COUNTS.model_copy(update={"settled": settled})).settled
    assert found is not None
    assert found.difference is not None
    assert found.difference.difference == pytest.approx((-0.088889 * 90 - 0.4 * 50) / 140, abs=1e-6)
    assert (found.treated.events, found.treated.n) == (140, 1_000)
