"""What an opt-out closes, and what a customer says who changes boxes on a page."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.policy.consent import (
    PURPOSES,
    TELEPHONE,
    Choice,
    Statement,
    changes,
    choice_of,
    closed_by,
    may_contact,
    opened_by,
)
from tellfirst.policy.verdict import Consent

CHANNELS = ("sms", "email", "push")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def said(statements: tuple[Statement, ...], at: datetime) -> list[Consent]:
    return [Consent(**statement.model_dump(), at=at) for statement in statements]


@pytest.mark.parametrize("channel", [*TELEPHONE, "email", "push", ""])
def test_an_opt_out_closes_everything(channel: str) -> None:
    assert closed_by(channel, everything=True) == (Statement(channel="*", purpose="*", allowed=False),)


@pytest.mark.parametrize("channel", TELEPHONE)
def test_or_the_channel_where_texts_and_calls_are_one(channel: str) -> None:
    assert {s.channel for s in closed_by(channel, everything=False)} == set(TELEPHONE)


def test_or_that_channel_alone_and_everything_where_there_is_none() -> None:
    assert [s.channel for s in closed_by("email", everything=False)] == ["email"]
    assert [s.channel for s in closed_by("", everything=False)] == ["*"]


@pytest.mark.parametrize("everything", [True, False])
@pytest.mark.parametrize("channel", [*TELEPHONE, "email"])
def test_the_way_back_opens_what_was_closed_by_that_channel(channel: str, everything: bool) -> None:
    statements = said(closed_by(channel, everything=everything), NOON)
    statements += said(opened_by(channel), NOON + timedelta(seconds=1))
    assert may_contact(statements, channel, "service")
    assert not may_contact(statements, channel, "marketing")


boxes = st.builds(
    Choice,
    channels=st.frozensets(st.sampled_from(CHANNELS)),
    purposes=st.frozensets(st.sampled_from(PURPOSES)),
)


@given(st.lists(boxes, min_size=1, max_size=5))
def test_after_every_save_exactly_what_was_chosen_is_allowed(saves: list[Choice]) -> None:
    statements: list[Consent] = []
    for number, wanted in enumerate(saves):
        shown = choice_of(statements, CHANNELS)
        statements += said(changes(shown, wanted), NOON + timedelta(minutes=number))
        for channel in CHANNELS:
            for purpose in PURPOSES:
                chosen = channel in wanted.channels and purpose in wanted.purposes
                assert may_contact(statements, channel, purpose) == chosen


def test_saving_without_a_change_says_nothing() -> None:
    shown = Choice(channels=frozenset(CHANNELS), purposes=frozenset({"service"}))
    assert changes(shown, shown) == ()
    assert (
        changes(Choice(channels=frozenset(), purposes=frozenset()), Choice(channels=frozenset(), purposes=frozenset()))
        == ()
    )


def test_what_was_not_touched_keeps_what_was_said_more_finely() -> None:
    only_sms = [Consent(channel="email", purpose="marketing", allowed=False, at=NOON)]
    only_sms.append(Consent(channel="sms", purpose="marketing", allowed=True, at=NOON))
    shown = choice_of(only_sms, CHANNELS)
    wanted = Choice(channels=shown.channels - {"push"}, purposes=shown.purposes)
    after = only_sms + said(changes(shown, wanted), NOON + timedelta(minutes=1))
    assert not may_contact(after, "email", "marketing")
    assert may_contact(after, "sms", "marketing")
    assert not may_contact(after, "push", "service")


def test_a_purpose_that_is_refused_stays_refused_on_a_channel_that_comes_later() -> None:
    shown = Choice(channels=frozenset({"sms"}), purposes=frozenset(PURPOSES))
    wanted = Choice(channels=frozenset({"sms"}), purposes=frozenset({"service"}))
    after = said(changes(shown, wanted), NOON)
    assert not may_contact(after, "email", "transactional")
