"""Which channel: the order in which one recipient's channels are tried, and where a message goes when one fails."""

from collections.abc import Container, Mapping, Sequence
from typing import Literal, TypeVar

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel
from tellfirst.policy.consent import may_contact
from tellfirst.policy.verdict import Consent

C = TypeVar("C", bound=str)

# The lower the sooner; what stands in no row, or beside another, keeps the order of the playbook's own list.
# urgent: whatever wakes somebody comes before what waits to be opened, and a call before everything.
# high: seen within the hour is enough: texts and pushes first, and a call is more disturbance than it is worth.
# normal: nothing hurries, so the playbook's author knows best.
_URGENCY: Mapping[str, Mapping[Channel, int]] = {
    "urgent": {"voice": 0, "sms": 1, "whatsapp": 1, "push": 1, "email": 2, "in_app": 2},
    "high": {"sms": 0, "whatsapp": 0, "push": 0, "email": 1, "in_app": 1, "voice": 2},
    "normal": {},
}


class Reach(Frozen):
    """Is what decides by which channels one recipient may be told.

    `usable` are the channels with an address that works, `locales` the language of the text on each channel that has
    one for them, `never_open` those whose hours cannot be kept, because nobody knows their time zone. `preferred` is
    what they chose themselves.
    """

    usable: frozenset[Channel]
    locales: Mapping[Channel, str]
    consents: tuple[Consent, ...]
    never_open: frozenset[Channel] = frozenset()
    preferred: str | None = None
    high_value: bool = False


def in_order(
    channels: Sequence[Channel], *, urgency: str, by: Literal["urgency", "playbook"] = "urgency"
) -> tuple[Channel, ...]:
    """Returns a playbook's channels in the order in which they are tried for everybody."""
    ranks = _URGENCY[urgency] if by == "urgency" else {}
    return tuple(sorted(channels, key=lambda channel: ranks.get(channel, 0)))


def choose(channels: Sequence[Channel], reach: Reach, *, purpose: str) -> tuple[Channel, ...] | str:
    """Returns the channels by which a recipient may be told, the first choice first, or the verdict why by none.

    `channels` are the playbook's, in order. A person calls accounts of high value alone, and those first; what the
    customer chose themselves comes before everything.
    """
    mine = [c for c in channels if c != "person" or reach.high_value]
    mine.sort(key=lambda c: (c != reach.preferred, c != "person"))
    left = [c for c in mine if c in reach.usable]
    if not left:
        return "no_usable_address"
    left = [c for c in left if may_contact(reach.consents, c, purpose)]
    if not left:
        return "opted_out"
    left = [c for c in left if c in reach.locales]
    if not left:
        return "no_text_in_their_language"
    left = [c for c in left if c not in reach.never_open]
    return tuple(left) or "unknown_zone"


def next_channel(order: Sequence[C], got: Container[str], lost: Mapping[str, bool]) -> C | None:
    """Returns the channel on which a step is to go next, None when on none: it is on its way, arrived or ended.

    `order` are the recipient's channels. `got` are those on which the first message came through (for the first
    message itself, the first of `order`): a step begins there. `lost` says of each channel on which the step has a send
    whether that is lost for good; only then the next one may carry it, and neither doubt nor an opt-out is a loss.
    """
    first = next((place for place, channel in enumerate(order) if channel in got), len(order))
    for channel in order[first:]:
        if channel not in lost:
            return channel
        if not lost[channel]:
            return None
    return None
