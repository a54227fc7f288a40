"""Consent: the latest statement that covers a channel and a purpose decides, and what an opt-out closes."""

from collections.abc import Iterable

from tellfirst.domain.base import Frozen
from tellfirst.policy.verdict import Consent

PURPOSES = ("transactional", "service", "marketing")
TELEPHONE = ("sms", "whatsapp", "voice")
"""The channels that reach one number: who stops the texts is not called instead."""
EVERYTHING = "*"


class Statement(Frozen):
    """Is one statement about to be recorded; `*` stands for every channel or purpose."""

    channel: str
    purpose: str
    allowed: bool


class Choice(Frozen):
    """Is what a customer wants of what we could do: some channels, for some purposes."""

    channels: frozenset[str]
    purposes: frozenset[str]


def may_contact(statements: Iterable[Consent], channel: str, purpose: str) -> bool:
    """Returns whether the customer may be written to on `channel` for `purpose`.

    The latest statement covering both decides, whatever its breadth, and a tie goes to the opt-out. Without any
    statement service and transactional messages are allowed and marketing is not.
    """
    covering = [s for s in statements if s.channel in (EVERYTHING, channel) and s.purpose in (EVERYTHING, purpose)]
    if not covering:
        return purpose != "marketing"
    return max(covering, key=lambda s: (s.at, not s.allowed)).allowed


def closed_by(channel: str, *, everything: bool) -> tuple[Statement, ...]:
    """Returns what an opt-out that came by `channel` says: everything, or that channel alone, for every purpose.

    Texts, WhatsApp and calls count as one channel; an opt-out that came by none of ours closes everything.
    """
    channels = (EVERYTHING,) if everything or not channel else _together(channel)
    return tuple(Statement(channel=one, purpose=EVERYTHING, allowed=False) for one in channels)


def opened_by(channel: str) -> tuple[Statement, ...]:
    """Returns what taking an opt-out back by `channel` says: what nobody has to ask for, on that channel alone."""
    asked_for = "marketing"
    return tuple(
        Statement(channel=one, purpose=purpose, allowed=True)
        for one in _together(channel)
        for purpose in PURPOSES
        if purpose != asked_for
    )


def choice_of(statements: Iterable[Consent], channels: Iterable[str]) -> Choice:
    """Returns the choice that amounts to what was said, among these channels."""
    said = tuple(statements)
    open_ = {(c, p) for c in channels for p in PURPOSES if may_contact(said, c, p)}
    return Choice(channels=frozenset(c for c, _ in open_), purposes=frozenset(p for _, p in open_))


def changes(shown: Choice, wanted: Choice) -> tuple[Statement, ...]:
    """Returns what a customer says who was shown one choice and made another.

    What they did not change says nothing: whatever was stated more finely stays so.
    """
    if not wanted.channels or not wanted.purposes:
        return closed_by("", everything=True) if shown != wanted else ()
    off = [(c, EVERYTHING) for c in sorted(shown.channels - wanted.channels)]
    off += [(EVERYTHING, p) for p in sorted(shown.purposes - wanted.purposes)]
    on = [
        (c, p)
        for c in sorted(wanted.channels)
        for p in sorted(wanted.purposes)
        if c not in shown.channels or p not in shown.purposes
    ]
    return (
        *(Statement(channel=c, purpose=p, allowed=False) for c, p in off),
        *(Statement(channel=c, purpose=p, allowed=True) for c, p in on),
    )


def _together(channel: str) -> tuple[str, ...]:
    return TELEPHONE if channel in TELEPHONE else (channel,)
