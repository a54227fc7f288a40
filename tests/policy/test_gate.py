"""The gate: every reason is reached, and with two things wrong the earlier one in the order is named."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.policy.gate import PageFacts, RowFacts, judge_page, judge_row
from tellfirst.policy.hours import Calendar, Span
from tellfirst.policy.verdict import ALLOW, Consent, Verdict, defer, halt, withhold

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STOP = Consent(channel="sms", purpose="*", allowed=False, at=NOON)

ALL_DAY = (Span(days=frozenset(range(7)), opens=0, closes=24 * 60),)
NIGHT = Calendar(zones=("UTC",), rules=((Span(days=frozenset(range(7)), opens=20 * 60, closes=24 * 60),),))

PAGE = PageFacts(
    now=NOON,
    pause_all=False,
    paused=False,
    blocked="",
    channel_halted="",
    decision="",
    library="",
    not_after=NOON + timedelta(hours=1),
    step_kind="initial",
    channel="sms",
    purpose="service",
)
ROW = RowFacts(
    condition_holds=True,
    address="+15550001",
    address_usable=True,
    address_unchanged=True,
    content_unchanged=True,
    consents=(),
    reserved=True,
)

# In the order in which they are named: what is wrong, and the reason.
PAGE_WRONGS: list[tuple[dict[str, object], str]] = [
    ({"pause_all": True}, "pause_all"),
    ({"paused": True}, "paused"),
    ({"blocked": "provider_block:30007"}, "provider_block:30007"),
    ({"channel_halted": "configuration:20003"}, "configuration:20003"),
    ({"decision": "revoked"}, "decision:revoked"),
    ({"library": "test_playbook"}, "test_playbook"),
    ({"not_before": NOON + timedelta(seconds=1)}, "too_early"),
]
ROW_WRONGS: list[tuple[dict[str, object], str]] = [
    ({"condition_holds": False}, "condition_cleared"),
    ({"now": NOON + timedelta(hours=1)}, "too_late"),
    ({"address": None}, "address_gone"),
    ({"address_unchanged": False}, "address_changed"),
    ({"content_unchanged": False}, "content_changed"),
    ({"consents": (STOP,)}, "opted_out"),
    ({"held": True}, "held"),
    ({"told_before": True}, "told_before"),
    ({"reserved": False}, "frequency_cap"),
    ({"calendar": Calendar(rules=(ALL_DAY,))}, "unknown_zone"),
    ({"calendar": NIGHT}, "too_late"),
]


def of_row(*wrongs: dict[str, object], **page: object) -> Verdict:
    given_facts: dict[str, object] = dict(page)
    for wrong in wrongs:
        given_facts.update(wrong)
    on_page = {name: value for name, value in given_facts.items() if name in PageFacts.model_fields}
    on_row = {name: value for name, value in given_facts.items() if name in RowFacts.model_fields}
    return judge_row(PAGE.model_copy(update=on_page), ROW.model_copy(update=on_row))


def test_with_nothing_wrong_it_may_leave() -> None:
    assert judge_page(PAGE) == of_row() == ALLOW
    assert of_row({"calendar": Calendar(zones=("UTC",), rules=(ALL_DAY,))}) == ALLOW


def test_what_would_disturb_waits_for_its_hour_where_nothing_else_is_wrong() -> None:
    night = {"calendar": NIGHT, "not_after": NOON + timedelta(hours=9)}
    assert of_row(night) == defer(NOON + timedelta(hours=8))
    assert of_row(night, reserved=False) == withhold("frequency_cap")


@pytest.mark.parametrize(("wrong", "reason"), PAGE_WRONGS)
def test_every_reason_of_a_page_is_reached(wrong: dict[str, object], reason: str) -> None:
    assert judge_page(PAGE.model_copy(update=wrong)) == halt(reason)


@pytest.mark.parametrize(("earlier", "later"), list(combinations(PAGE_WRONGS, 2)))
def test_earlier_reason_of_a_page_is_named(
    earlier: tuple[dict[str, object], str], later: tuple[dict[str, object], str]
) -> None:
    assert judge_page(PAGE.model_copy(update={**later[0], **earlier[0]})) == halt(earlier[1])


@pytest.mark.parametrize(("wrong", "reason"), ROW_WRONGS)
def test_every_reason_of_a_row_is_reached(wrong: dict[str, object], reason: str) -> None:
    assert of_row(wrong) == withhold(reason)


@pytest.mark.parametrize(("earlier", "later"), list(combinations(ROW_WRONGS, 2)))
def test_earlier_reason_of_a_row_is_named(
    earlier: tuple[dict[str, object], str], later: tuple[dict[str, object], str]
) -> None:
    assert of_row(later[0], earlier[0]) == withhold(earlier[1])


@given(st.lists(st.sampled_from(ROW_WRONGS), max_size=7))
def test_first_of_everything_that_is_wrong_is_named(wrongs: list[tuple[dict[str, object], str]]) -> None:
    ranked = sorted(wrongs, key=ROW_WRONGS.index)
    # Two may be wrong about one fact: the last one given is the one that holds.
    verdict = of_row(*(wrong for wrong, _ in reversed(ranked)))
    assert verdict == (withhold(ranked[0][1]) if ranked else ALLOW)


@pytest.mark.parametrize("kind", ["initial", "update", "resolved"])
@pytest.mark.parametrize("holds", [True, False])
def test_only_the_end_is_told_when_it_is_over(kind: str, holds: bool) -> None:
    verdict = of_row({"condition_holds": holds}, step_kind=kind)
    if kind == "resolved":
        assert verdict == (withhold("condition_still_true") if holds else ALLOW)
    else:
        assert verdict == (ALLOW if holds else withhold("condition_cleared"))


def test_end_that_is_not_one_is_named_first() -> None:
    for wrong, _ in ROW_WRONGS[1:]:
        assert of_row(wrong, step_kind="resolved") == withhold("condition_still_true")


@pytest.mark.parametrize(
    ("early", "verdict"), [(timedelta(microseconds=1), ALLOW), (timedelta(0), withhold("too_late"))]
)
def test_last_instant_is_too_late(early: timedelta, verdict: Verdict) -> None:
    assert of_row({"now": PAGE.not_after - early}) == verdict


def test_address_that_never_works_is_gone() -> None:
    assert of_row({"address_usable": False}) == withhold("address_gone")


@pytest.mark.parametrize(
    ("channel", "purpose", "verdict"),
    [
        ("sms", "service", withhold("opted_out")),
        ("email", "service", ALLOW),
        ("email", "marketing", withhold("opted_out")),
    ],
)
def test_consent_is_asked_for_this_channel_and_purpose(channel: str, purpose: str, verdict: Verdict) -> None:
    assert of_row({"consents": (STOP,)}, channel=channel, purpose=purpose) == verdict


def test_switches_do_not_withhold_a_row() -> None:
    for wrong, _ in PAGE_WRONGS:
        assert of_row(wrong) == ALLOW, "what is wrong with the page ends no send"
