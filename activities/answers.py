"""What a provider's answers mean for their sends, and beyond them: opt-outs, dead addresses, blocks, halts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tellfirst.channels.base import Adapter
from tellfirst.domain.message import Answer, AnswerKind, SendState
from tellfirst.store.consents import Consents
from tellfirst.store.controls import Controls
from tellfirst.store.customers import Customers
from tellfirst.store.doubts import Settlement
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.repeats import Repeat
from tellfirst.store.sends import PlannedSend

MAX_ATTEMPTS = 5
"""How often a message that was provably not processed is tried before it counts as failed."""
QUIET = timedelta(hours=1)
"""How long a message rests that the carrier kept for the hour: only the carrier knows when that is over."""


class Answers:
    """Keeps what an answer tells beyond its own send."""

    def __init__(self, *, customers: Customers, consents: Consents, outreaches: Outreaches, controls: Controls) -> None:
        self._customers, self._consents = customers, consents
        self._outreaches, self._controls = outreaches, controls

    def take_in(
        self,
        answers: Sequence[Answer],
        people: Mapping[str, str],
        *,
        outreach: str,
        channel: str,
        by: str,
        now: datetime,
    ) -> None:
        """Records opt-outs and dead addresses of `people` (customer by send), blocks and halts; idempotent."""
        of_kind: dict[AnswerKind, list[Answer]] = {}
        for answer in answers:
            of_kind.setdefault(answer.kind, []).append(answer)
        if stopped := of_kind.get(AnswerKind.OPTED_OUT):
            self._consents.opt_out([people[a.send_id] for a in stopped], channel=channel, at=now, source=by)
        if dead := of_kind.get(AnswerKind.PERMANENT):
            self._customers.mark_unusable({people[a.send_id]: channel for a in dead})
        if blocked := of_kind.get(AnswerKind.POLICY_BLOCK):
            self._outreaches.block(outreach, f"provider_block:{blocked[0].detail}"[:100])
        if broken := of_kind.get(AnswerKind.CONFIGURATION):
            why = f"configuration:{broken[0].detail}"[:100]
            self._controls.turn_on(f"channel:{channel}", why, by=by, at=now)


def repeatable(adapter: Adapter, now: datetime) -> Repeat | None:
    """Returns what is in doubt and may be asked for again, None where the provider keeps no keys."""
    if adapter.idempotency != "key":
        return None
    return Repeat(adapter=adapter.name, since=now - adapter.key_window)


def still_in_doubt(answer: Answer) -> Answer:
    """Returns the answer to a request of a send whose earlier request may have left: not processed proves nothing."""
    if answer.kind not in (AnswerKind.NOT_SENT, AnswerKind.QUIET_HOURS, AnswerKind.CONFIGURATION):
        return answer
    return answer.model_copy(update={"kind": AnswerKind.AMBIGUOUS})


def settled(
    answers: Sequence[Answer], batch: Sequence[PlannedSend], *, keyed: bool, now: datetime
) -> tuple[list[Settlement], float | None]:
    """Returns what the effect log records for the answers to a micro-batch, and the seconds to wait before the next."""
    sends = {send.id: send for send in batch}
    answers = [still_in_doubt(answer) if sends[answer.send_id].in_doubt else answer for answer in answers]
    quiet = [answer for answer in answers if answer.kind is AnswerKind.QUIET_HOURS]
    others = [answer for answer in answers if answer.kind is not AnswerKind.QUIET_HOURS]
    found = [settlement(answer, sends[answer.send_id].attempts + 1) for answer in others]
    found += [deferred(answer, now) for answer in quiet]
    return found, longest_wait(others, max(send.attempts for send in batch) + 1, keyed=keyed)


def settlement(answer: Answer, attempts: int) -> Settlement:
    """Returns what the effect log records for an answer; an ambiguous one keeps its intent until reconciled."""
    kind, detail = answer.kind, answer.detail[:100]
    if kind is AnswerKind.ACCEPTED:
        return Settlement(id=answer.send_id, state=SendState.ACCEPTED, provider_id=answer.provider_id)
    if kind is AnswerKind.AMBIGUOUS:
        return Settlement(id=answer.send_id, state=SendState.INTENT, reason=f"ambiguous:{detail}")
    again = kind in (AnswerKind.NOT_SENT, AnswerKind.CONFIGURATION) and attempts < MAX_ATTEMPTS
    if again or kind is AnswerKind.QUIET_HOURS:
        return Settlement(id=answer.send_id, state=SendState.PLANNED, reason=f"{kind}:{detail}")
    return Settlement(id=answer.send_id, state=SendState.FAILED, reason=f"{kind}:{detail}")


def longest_wait(answers: Sequence[Answer], attempts: int, *, keyed: bool = False) -> float | None:
    """Returns the seconds after which what was not processed may be tried again, at most an hour; None if all was.

    A `keyed` provider drops a second request, so what is in doubt is tried again too, as often as anything is. Where
    the provider does not say, the waits grow from one second to eight minutes: one that is down for a while must not
    use up every attempt of its messages.
    """
    patience = 8.0 ** (attempts - 1)
    again = {AnswerKind.NOT_SENT} | ({AnswerKind.AMBIGUOUS} if keyed and attempts < MAX_ATTEMPTS else set())
    waits = [a.retry_after or patience for a in answers if a.kind in again]
    waits += [QUIET.total_seconds() for a in answers if a.kind is AnswerKind.QUIET_HOURS]
    return min(max(waits), QUIET.total_seconds()) if waits else None


def deferred(answer: Answer, now: datetime) -> Settlement:
    """Returns what the effect log records where the carrier keeps quiet hours that we did not know of."""
    return Settlement(
        id=answer.send_id,
        state=SendState.DEFERRED,
        reason=f"{answer.kind}:{answer.detail[:100]}",
        deferred_until=now + QUIET,
    )
