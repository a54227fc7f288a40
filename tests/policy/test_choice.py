"""Which channel: urgency orders, the customer's word goes first, and a lost message goes by the next."""

from datetime import UTC, datetime
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.domain.message import Channel
from tellfirst.policy.choice import Reach, choose, in_order, next_channel
from tellfirst.policy.verdict import Consent

ALL: tuple[Channel, ...] = ("in_app", "email", "push", "sms", "whatsapp", "voice")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def reach(*usable: Channel, **more: object) -> Reach:
    given = {"locales": dict.fromkeys(usable, "en"), "consents": (), **more}
    return Reach(usable=frozenset(usable), **given)


def no(channel: str) -> Consent:
    return Consent(channel=channel, purpose="*", allowed=False, at=NOON)


@pytest.mark.parametrize(
    ("urgency", "order"),
    [
        ("urgent", ("voice", "push", "sms", "whatsapp", "in_app", "email")),
        ("high", ("push", "sms", "whatsapp", "in_app", "email", "voice")),
        ("normal", ALL),
    ],
)
def test_urgency_orders_and_the_playbook_breaks_ties(urgency: str, order: tuple[Channel, ...]) -> None:
    assert in_order(ALL, urgency=urgency) == order
    assert in_order(ALL, urgency=urgency, by="playbook") == ALL


def test_what_the_customer_chose_goes_first_where_the_playbook_lists_it() -> None:
    assert choose(("sms", "email"), reach("sms", "email", preferred="email"), purpose="service") == ("email", "sms")
    assert choose(("sms", "email"), reach("sms", "email", preferred="push"), purpose="service") == ("sms", "email")


def test_a_person_calls_accounts_of_high_value_alone_unless_these_chose_otherwise() -> None:
    channels: tuple[Channel, ...] = ("sms", "person")
    assert choose(channels, reach("sms", "person"), purpose="service") == ("sms",)
    assert choose(channels, reach("sms", "person", high_value=True), purpose="service") == ("person", "sms")
    chose = reach("sms", "person", high_value=True, preferred="sms")
    assert choose(channels, chose, purpose="service") == ("sms", "person")


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (reach(), "no_usable_address"),
        (reach("push"), "no_usable_address"),
        (reach("sms", consents=(no("sms"),)), "opted_out"),
        (reach("sms", "email", consents=(no("*"),)), "opted_out"),
        (reach("sms", locales={}), "no_text_in_their_language"),
        (reach("sms", never_open={"sms"}), "unknown_zone"),
        (reach("sms", "email", never_open={"sms"}), ("email",)),
        (reach("sms", "email", consents=(no("sms"),)), ("email",)),
        (reach("sms", "email", locales={"email": "de"}), ("email",)),
    ],
)
def test_each_channel_has_to_hold_and_the_verdict_names_what_left_none(one: Reach, verdict: object) -> None:
    assert choose(("sms", "email"), one, purpose="service") == verdict


@given(
    channels=st.permutations(ALL).map(tuple),
    usable=st.frozensets(st.sampled_from(ALL)),
    preferred=st.sampled_from([None, *ALL]),
    never_open=st.frozensets(st.sampled_from(ALL)),
)
def test_exactly_the_channels_that_hold_are_chosen(
    channels: tuple[Channel, ...], usable: frozenset[Channel], preferred: str | None, never_open: frozenset[Channel]
) -> None:
    chosen = choose(channels, reach(*usable, preferred=preferred, never_open=never_open), purpose="service")
    if isinstance(chosen, str):
        return
    assert set(chosen) == usable - never_open
    rest = [c for c in chosen if c != preferred]
    assert rest == sorted(rest, key=channels.index)
    assert preferred not in chosen or chosen[0] == preferred


@pytest.mark.parametrize(
    ("got", "lost", "goes_on"),
    [
        ({"sms"}, {}, "sms"),
        ({"sms"}, {"sms": False}, None),
        ({"sms"}, {"sms": True}, "email"),
        ({"sms"}, {"sms": True, "email": False}, None),
        ({"sms"}, {"sms": True, "email": True}, "push"),
        ({"sms"}, {"sms": True, "email": True, "push": True}, None),
        ({"email"}, {}, "email"),
        ({"email"}, {"email": True}, "push"),
        ({"sms", "email"}, {}, "sms"),
        (set(), {}, None),
    ],
)
def test_a_step_goes_on_only_when_every_channel_before_has_lost_it(
    got: set[str], lost: dict[str, bool], goes_on: str | None
) -> None:
    assert next_channel(("sms", "email", "push"), got, lost) == goes_on


def test_whatever_is_lost_in_turn_nothing_is_sent_twice_on_a_channel() -> None:
    for order in permutations(("sms", "email", "push")):
        lost: dict[str, bool] = {}
        while (channel := next_channel(order, {order[0]}, lost)) is not None:
            assert channel not in lost
            lost[channel] = True
        assert list(lost) == list(order)
