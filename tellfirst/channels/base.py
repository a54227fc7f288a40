"""The protocol every channel adapter keeps."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

from tellfirst.domain.message import Answer, Outbound

Idempotency = Literal["key", "lookup", "none"]
"""What an adapter honestly offers against duplicates.

`key`: the provider drops a second request with the same send id, so an ambiguous request may be repeated.
`lookup`: the provider can be asked whether it has the message. `none`: neither; ambiguous means unknown.
"""


class Adapter(Protocol):
    """Sends messages of one channel through one provider; never retries by itself."""

    name: str
    idempotency: Idempotency
    key_window: timedelta
    """How long the provider keeps a key, less a margin: later a request with it may be a new message. Zero without."""
    in_flight: int
    """How many requests run at once: the size of a micro-batch, and so the most that one kill leaves in doubt."""

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Sends a batch of at most `in_flight` messages at once and answers each, in the order of the batch.

        Provider trouble is an answer, not an exception. `now` (UTC) is the instant of the call: a message past its
        `not_after` is answered `not_sent` with the detail `too_late`. `not_sent` without `retry_after` is for the
        caller to pace.
        """
        ...

    async def look_up(self, message: Outbound, since: datetime) -> Answer | None:
        """Returns `accepted` when the provider has this message, `None` when it does not or cannot say.

        `since` is the instant of the first attempt (UTC). Where the provider holds no send id (`lookup`), a message is
        known by recipient, sender, text and time, so the caller adopts a `provider_id` only if no other send has it.
        """
        ...

    async def status(self, provider_id: str) -> tuple[str, str] | None:
        """Returns what the provider says now of a message it accepted, as a receipt would: its status and error code.

        `None` when it cannot be asked, or cannot say.
        """
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...
