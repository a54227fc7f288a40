"""A provider that answers as it is told to, can be made to wait, and knows what it really took."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tests.world import FakeProvider

Reply = (
    AnswerKind
    | Literal[
        "lost_request",  # nothing came, and nobody can tell
        "lost_answer",  # it came, and nobody can tell
        "found_later",  # it came, and can be looked up
    ]
)
DOUBTFUL: tuple[Reply, ...] = ("lost_request", "lost_answer", "found_later")
REPLIES: tuple[Reply, ...] = (*(kind for kind in AnswerKind if kind is not AnswerKind.AMBIGUOUS), *DOUBTFUL)


class Provider(FakeProvider):
    """Is one channel; where it is `keyed` it takes a message of one key once, and says so as often as it is asked."""

    def __init__(self, name: str, channel: str, *, keyed: bool) -> None:
        super().__init__(name, in_flight=2)
        self.idempotency, self.key_window = ("key", timedelta(days=2)) if keyed else ("lookup", timedelta(0))
        self.channel, self._keyed = channel, keyed
        self.replies: list[Reply] = []
        self.refused: set[str] = set()
        """Customers of whom it said that they have opted out, or that their address is dead."""
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        """Answers each message as the next reply says, or accepts it."""
        self.busy = True
        await self.open.wait()
        self.busy = False
        return [self._answer(message) for message in batch]

    def _answer(self, message: Outbound) -> Answer:
        id_ = message.send_id
        if self._keyed and id_ in self.took:
            return Answer(send_id=id_, kind=AnswerKind.ACCEPTED, provider_id=f"p-{id_}")
        reply = self.replies.pop(0) if self.replies else AnswerKind.ACCEPTED
        if reply in (AnswerKind.ACCEPTED, "lost_answer", "found_later"):
            self.sent.append(message)
        if reply == "found_later":
            self.knows[id_] = f"p-{id_}"
        if reply in (AnswerKind.OPTED_OUT, AnswerKind.PERMANENT):
            self.refused.add(message.customer)
        kind = AnswerKind.AMBIGUOUS if reply in DOUBTFUL else AnswerKind(reply)
        provider_id = f"p-{id_}" if kind is AnswerKind.ACCEPTED else ""
        return Answer(send_id=id_, kind=kind, provider_id=provider_id, detail="1")

    @property
    def took(self) -> set[str]:
        """Returns the ids of the messages that it took."""
        return {message.send_id for message in self.sent}
