"""Consent: the latest statement that covers a message decides, and silence never allows marketing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.policy.consent import may_contact
from tellfirst.policy.verdict import Consent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHANNELS, PURPOSES = ["sms", "email"], ["transactional", "service", "marketing"]

channels, purposes = st.sampled_from(CHANNELS), st.sampled_from(PURPOSES)
statements = st.builds(
    Consent,
    channel=st.sampled_from([*CHANNELS, "*"]),
    purpose=st.sampled_from([*PURPOSES, "*"]),
    allowed=st.booleans(),
    at=st.integers(0, 4).map(lambda hours: NOON + timedelta(hours=hours)),
)


def covers(statement: Consent, channel: str, purpose: str) -> bool:
    return statement.channel in {"*", channel} and statement.purpose in {"*", purpose}


def expected(given_statements: Sequence[Consent], channel: str, purpose: str) -> bool:
    """Returns the answer by another way: the state as a person would keep it, statement by statement."""
    allowed = purpose != "marketing"
    for statement in sorted(given_statements, key=lambda s: s.at):
        if covers(statement, channel, purpose):
            same_time = [s for s in given_statements if s.at == statement.at and covers(s, channel, purpose)]
            allowed = all(s.allowed for s in same_time)
    return allowed


@given(st.lists(statements, max_size=8), channels, purposes)
def test_latest_statement_that_covers_decides(given_statements: list[Consent], channel: str, purpose: str) -> None:
    assert may_contact(given_statements, channel, purpose) is expected(given_statements, channel, purpose)


@given(st.lists(statements, max_size=8), channels, purposes, st.randoms())
def test_order_in_which_statements_are_read_does_not_matter(
    given_statements: list[Consent], channel: str, purpose: str, random: object
) -> None:
    shuffled = list(given_statements)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert may_contact(shuffled, channel, purpose) is may_contact(given_statements, channel, purpose)


@given(st.lists(statements, max_size=8), channels, purposes, st.sampled_from(["channel", "purpose", "both", "neither"]))
def test_opt_out_now_closes_whatever_was_said(
    given_statements: list[Consent], channel: str, purpose: str, wide: str
) -> None:
    stop = Consent(
        channel="*" if wide in {"channel", "both"} else channel,
        purpose="*" if wide in {"purpose", "both"} else purpose,
        allowed=False,
        at=NOON + timedelta(hours=4),  # no later than the latest of the others: a tie goes to the opt-out
    )
    assert not may_contact([*given_statements, stop], channel, purpose)


@given(st.lists(statements, max_size=8), channels, purposes)
def test_opt_in_later_than_everything_opens(given_statements: list[Consent], channel: str, purpose: str) -> None:
    yes = Consent(channel=channel, purpose=purpose, allowed=True, at=NOON + timedelta(hours=5))
    assert may_contact([*given_statements, yes], channel, purpose)


@given(st.lists(statements, max_size=8), statements, channels, purposes)
def test_statement_about_something_else_changes_nothing(
    given_statements: list[Consent], other: Consent, channel: str, purpose: str
) -> None:
    if not covers(other, channel, purpose):
        assert may_contact([*given_statements, other], channel, purpose) is may_contact(
            given_statements, channel, purpose
        )


@pytest.mark.parametrize(("purpose", "allowed"), [("transactional", True), ("service", True), ("marketing", False)])
def test_without_a_statement_only_marketing_is_closed(purpose: str, allowed: bool) -> None:
    assert may_contact([], "sms", purpose) is allowed


def test_narrow_yes_after_a_wide_no_counts() -> None:
    wide_no = Consent(channel="*", purpose="*", allowed=False, at=NOON)
    narrow_yes = Consent(channel="sms", purpose="service", allowed=True, at=NOON + timedelta(seconds=1))
    said = [wide_no, narrow_yes]
    assert may_contact(said, "sms", "service")
    assert not may_contact(said, "email", "service")
    assert not may_contact(said, "sms", "transactional")
