"""Delivery receipts: what providers report after they accepted a message, folded into one state.

Receipts come in any order, twice, and without a time. So a status has a rank and the highest rank wins: the same set
of receipts gives the same state in whatever order it came, and nothing that was final is undone by a late `sent`.
"""

from collections.abc import Collection

from tellfirst.channels.twilio_errors import ERRORS
from tellfirst.domain.beside import Engagement
from tellfirst.domain.message import AnswerKind, SendState
from tellfirst.domain.receipt import Judgement, Receipt

# The statuses of each provider in rising order. Where two final ones contradict each other, having arrived outranks
# not having arrived: a handset or a mail server confirmed it, and nobody must be told the same thing a second time.
# What is not here is kept and says nothing: words we do not know, and what a reader or his mail program did (`open`,
# `click`), which is no proof of a person.
_RISING: dict[str, tuple[tuple[SendState, tuple[str, ...]], ...]] = {
    # Message and Call resources; their ids never meet. `failed` and `canceled` come after acceptance, so they are
    # outcomes of delivery, not of our request. Of what is partially delivered the customer cannot read the whole.
    "twilio": (
        (SendState.ACCEPTED, ("scheduled", "accepted", "queued", "sending", "sent")),
        (SendState.ACCEPTED, ("initiated", "ringing", "in-progress")),
        (SendState.UNDELIVERED, ("canceled", "no-answer", "busy", "failed", "undelivered", "partially_delivered")),
        (SendState.DELIVERED, ("completed", "delivered", "read")),
    ),
    # `blocked` is a bounce that may pass; both are told after `delivered` too, when a mail server thinks again.
    "sendgrid": (
        (SendState.ACCEPTED, ("processed", "deferred")),
        (SendState.UNDELIVERED, ("dropped", "blocked", "bounce")),
        (SendState.DELIVERED, ("delivered",)),
    ),
    "resend": (
        (SendState.ACCEPTED, ("email.scheduled", "email.sent", "email.delivery_delayed")),
        (SendState.UNDELIVERED, ("email.suppressed", "email.failed", "email.bounced")),
        (SendState.DELIVERED, ("email.delivered",)),
    ),
    # From the app on the device: whatever it did with the message, it had it.
    "fcm": ((SendState.DELIVERED, ("received", "dismissed", "opened")),),
    # From whoever of ours called, or tried to.
    "person": (
        (SendState.ACCEPTED, ("asked",)),
        (SendState.UNDELIVERED, ("not_reached",)),
        (SendState.DELIVERED, ("reached",)),
    ),
    "in_app": ((SendState.ACCEPTED, ("accepted",)), (SendState.DELIVERED, ("delivered", "read", "clicked"))),
}
_RANKS: dict[str, dict[str, tuple[int, SendState]]] = {
    provider: {
        status: (rank, state)
        for rank, (state, status) in enumerate(((s, word) for s, words in groups for word in words), start=1)
    }
    for provider, groups in _RISING.items()
}

_MEANINGS: dict[tuple[str, str, str], AnswerKind] = {
    ("sendgrid", "spamreport", ""): AnswerKind.OPTED_OUT,
    ("sendgrid", "unsubscribe", ""): AnswerKind.OPTED_OUT,
    ("sendgrid", "group_unsubscribe", ""): AnswerKind.OPTED_OUT,
    ("sendgrid", "dropped", "unsubscribed"): AnswerKind.OPTED_OUT,
    ("sendgrid", "dropped", "spam_reported"): AnswerKind.OPTED_OUT,
    ("sendgrid", "dropped", "bounced"): AnswerKind.PERMANENT,
    ("sendgrid", "dropped", "invalid"): AnswerKind.PERMANENT,
    ("sendgrid", "bounce", ""): AnswerKind.PERMANENT,
    ("resend", "email.complained", ""): AnswerKind.OPTED_OUT,
    ("resend", "email.bounced", "Permanent"): AnswerKind.PERMANENT,
}
"""What an event means by provider, status and error, or whatever the error, where it is empty."""

ENGAGEMENTS: dict[tuple[str, str], Engagement] = {
    ("sendgrid", "open"): "opened",
    ("sendgrid", "machine_open"): "machine",
    ("sendgrid", "click"): "clicked",
    # It does not say what fetched the image: Apple's proxies do so for their users before anybody reads.
    ("resend", "email.opened"): "machine",
    ("resend", "email.clicked"): "clicked",
    ("twilio", "read"): "opened",
    ("fcm", "opened"): "opened",
    ("in_app", "read"): "opened",
    ("in_app", "clicked"): "clicked",
}
"""What a receipt, by provider and status, says of reading; never a proof of a person, and never a result."""


def rank(provider: str, status: str) -> int:
    """Returns how far along a status is; 0 for one that says nothing of an outgoing message's delivery."""
    return _RANKS.get(provider, {}).get(status, (0, None))[0]


def judge(provider: str, events: Collection[tuple[str, str]]) -> Judgement:
    """Returns what the (status, error) events of a message amount to.

    It depends neither on order nor on repetition, and the state grows with every further event: `accepted`, then
    `undelivered` or `delivered`. Why it was not delivered is told by the furthest event that names an error.
    """
    ranks = _RANKS.get(provider, {})
    known = sorted((*ranks[status], error) for status, error in events if status in ranks)
    if not known:
        return Judgement()
    state = known[-1][1]
    errors = [error for _, of, error in known if of is SendState.UNDELIVERED and error]
    reason = f"receipt:{errors[-1]}" if state is SendState.UNDELIVERED and errors else "receipt"
    return Judgement(state=state, reason=reason)


def meaning(receipt: Receipt) -> AnswerKind | None:
    """Returns what an event means beyond its message: an opt-out, a dead address, a blocked text; mostly nothing."""
    if receipt.provider == "twilio":
        said = ERRORS.get(int(receipt.error)) if receipt.error.isdecimal() else None
        beyond = (AnswerKind.OPTED_OUT, AnswerKind.PERMANENT, AnswerKind.POLICY_BLOCK)
        return said if said in beyond else None
    of = receipt.provider, receipt.status
    return _MEANINGS.get((*of, receipt.error)) or _MEANINGS.get((*of, ""))
