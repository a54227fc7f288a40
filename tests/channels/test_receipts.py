import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.channels.receipts import judge, meaning, rank
from tellfirst.domain.message import AnswerKind, SendState
from tellfirst.domain.receipt import Receipt

S = SendState
KNOWN = {
    "twilio": [
        *("scheduled", "accepted", "queued", "sending", "sent", "initiated", "ringing", "in-progress"),
        *("canceled", "no-answer", "busy", "failed", "undelivered", "partially_delivered"),
        *("completed", "delivered", "read"),
    ],
    "sendgrid": ["processed", "deferred", "dropped", "blocked", "bounce", "delivered"],
    "resend": [
        *("email.scheduled", "email.sent", "email.delivery_delayed", "email.suppressed", "email.failed"),
        *("email.bounced", "email.delivered"),
    ],
    "fcm": ["received", "dismissed", "opened"],
    "in_app": ["accepted", "delivered", "read", "clicked"],
}
SILENT = ["open", "machine_open", "click", "spamreport", "email.opened", "email.clicked", "nonsense", "", "DELIVERED"]
ERRORS = st.sampled_from(["", "30005", "5.1.1", "x"])


@st.composite
def stories(draw: st.DrawFn) -> tuple[str, list[tuple[str, str]]]:
    provider = draw(st.sampled_from(sorted(KNOWN)))
    statuses = st.sampled_from([*KNOWN[provider], *SILENT])
    return provider, draw(st.lists(st.tuples(statuses, ERRORS), max_size=8))


@given(stories(), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(story: tuple[str, list[tuple[str, str]]], chance: random.Random) -> None:
    provider, events = story
    shuffled = [*events, *events]
    chance.shuffle(shuffled)
    assert judge(provider, shuffled) == judge(provider, events) == judge(provider, set(events))


@given(stories(), ERRORS)
def test_a_further_receipt_never_takes_back_what_is_final(story: tuple[str, list[tuple[str, str]]], error: str) -> None:
    provider, events = story
    order = [None, S.ACCEPTED, S.UNDELIVERED, S.DELIVERED]
    before = order.index(judge(provider, events).state)
    for late in (*KNOWN[provider], *SILENT):
        assert order.index(judge(provider, [*events, (late, error)]).state) >= before


@given(stories())
def test_what_says_nothing_of_delivery_changes_nothing(story: tuple[str, list[tuple[str, str]]]) -> None:
    provider, events = story
    assert judge(provider, [*events, *((word, "30005") for word in SILENT)]) == judge(provider, events)


@pytest.mark.parametrize(
    ("provider", "statuses", "state"),
    [
        ("twilio", (), None),
        ("twilio", ("nonsense",), None),
        ("twilio", ("queued", "sent"), S.ACCEPTED),
        ("twilio", ("delivered", "sent"), S.DELIVERED),
        ("twilio", ("read",), S.DELIVERED),
        ("twilio", ("failed", "queued", "sent"), S.UNDELIVERED),
        ("twilio", ("canceled",), S.UNDELIVERED),
        ("twilio", ("undelivered", "delivered"), S.DELIVERED),
        ("twilio", ("initiated", "ringing", "no-answer"), S.UNDELIVERED),
        ("twilio", ("initiated", "ringing", "in-progress", "completed"), S.DELIVERED),
        ("sendgrid", ("processed", "deferred", "bounce"), S.UNDELIVERED),
        ("sendgrid", ("delivered", "bounce", "open"), S.DELIVERED),
        ("sendgrid", ("open", "click"), None),
        ("resend", ("email.sent", "email.bounced"), S.UNDELIVERED),
        ("resend", ("email.delivered", "email.complained"), S.DELIVERED),
        ("fcm", ("opened",), S.DELIVERED),
        ("nobody", ("delivered",), None),
    ],
)
def test_every_order_of_a_history_ends_the_same(
    provider: str, statuses: tuple[str, ...], state: SendState | None
) -> None:
    assert {judge(provider, [(s, "") for s in order]).state for order in permutations(statuses)} == {state}


def test_a_reason_once_known_stays() -> None:
    events = [("undelivered", "30005"), ("undelivered", ""), ("failed", ""), ("queued", "")]
    assert {judge("twilio", order).reason for order in permutations(events)} == {"receipt:30005"}
    assert judge("twilio", [("failed", "30005"), ("undelivered", "")]).reason == "receipt:30005"
    assert judge("twilio", [*events, ("delivered", "")]).reason == "receipt"


def test_every_known_status_has_a_rank_of_its_own_and_the_others_none() -> None:
    for provider, words in KNOWN.items():
        assert [rank(provider, word) for word in words] == list(range(1, len(words) + 1))
        assert not any(rank(provider, word) for word in SILENT)


@pytest.mark.parametrize(
    ("provider", "status", "error", "means"),
    [
        ("twilio", "undelivered", "21610", AnswerKind.OPTED_OUT),
        ("twilio", "undelivered", "30005", AnswerKind.PERMANENT),
        ("twilio", "undelivered", "30007", AnswerKind.POLICY_BLOCK),
        ("twilio", "undelivered", "30036", None),
        ("twilio", "undelivered", "99999", None),
        ("twilio", "delivered", "", None),
        ("sendgrid", "spamreport", "", AnswerKind.OPTED_OUT),
        ("sendgrid", "group_unsubscribe", "", AnswerKind.OPTED_OUT),
        ("sendgrid", "bounce", "5.1.1", AnswerKind.PERMANENT),
        ("sendgrid", "blocked", "4.2.2", None),
        ("sendgrid", "dropped", "bounced", AnswerKind.PERMANENT),
        ("sendgrid", "dropped", "", None),
        ("resend", "email.complained", "", AnswerKind.OPTED_OUT),
        ("resend", "email.bounced", "Permanent", AnswerKind.PERMANENT),
        ("resend", "email.bounced", "Transient", None),
        ("fcm", "opened", "", None),
    ],
)
def test_what_an_event_means_beyond_its_message(
    provider: str, status: str, error: str, means: AnswerKind | None
) -> None:
    assert meaning(Receipt(provider=provider, provider_id="p", status=status, error=error)) is means
