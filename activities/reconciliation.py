"""Reconciliation: what became of a message whose answer never came; never by sending it again."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime

from temporalio import activity

from activities.beat import beat
from activities.clock import AttemptClock
from activities.failures import on_record, told_plainly
from activities.playbooks import PlannedPlaybooks
from tellfirst.channels.base import Adapter
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel, Outbound, Rendered, SendState
from tellfirst.playbooks.promises import next_promise
from tellfirst.playbooks.render import compile_step
from tellfirst.store.doubts import Doubts, OpenSend, Settlement
from tellfirst.store.outreaches import Outreaches, RevisionRecord


class ReconcileRequest(Frozen):
    """Asks about the sends in doubt of one step on one channel; `last` gives up on those the provider cannot find."""

    outreach: str
    revision: int
    step: str
    channel: Channel
    last: bool


class Reconciled(Frozen):
    """Counts what was found, what stays unknown for a person to decide, and what to ask about again."""

    found: int
    unknown: int
    left: int


class ReconciliationActivities:
    """Asks providers about messages in doubt."""

    def __init__(
        self,
        *,
        outreaches: Outreaches,
        doubts: Doubts,
        playbooks: PlannedPlaybooks,
        adapters: Mapping[str, Adapter],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._outreaches, self._doubts = outreaches, doubts
        self._playbooks, self._adapters, self._loop = playbooks, adapters, loop

    @activity.defn(no_thread_cancel_exception=True)
    def reconcile(self, request: ReconcileRequest) -> Reconciled:
        """Adopts what a receipt or the provider itself can prove; with `last` the rest becomes unknown."""
        with told_plainly():
            clock = AttemptClock()
            revision = on_record(self._outreaches.revision(request.outreach, request.revision))
            found = unknown = left = 0
            for send in self._all_in_doubt(request):
                if self._adopt(send, revision, request, now=clock.now()):
                    found += 1
                elif not request.last:
                    left += 1
                elif self._doubts.resolve([_not_found(send)], now=clock.now()):
                    unknown += 1
                else:
                    found += 1  # a receipt was faster
                beat(found + unknown + left)
            return Reconciled(found=found, unknown=unknown, left=left)

    def _all_in_doubt(self, request: ReconcileRequest) -> Iterator[OpenSend]:
        after = ""
        while sends := self._doubts.in_doubt(
            request.outreach, request.step, request.channel, revision=request.revision, after=after
        ):
            yield from sends
            after = sends[-1].id

    def _adopt(self, send: OpenSend, revision: RevisionRecord, request: ReconcileRequest, *, now: datetime) -> bool:
        """Settles a send by what proves that it left; a proof that is another send's already is none."""
        provider_id = self._proof(send, revision, request)
        found = Settlement(id=send.id, state=SendState.ACCEPTED, reason="reconciled", provider_id=provider_id)
        return bool(provider_id) and self._doubts.resolve([found], now=now) == 1

    def _proof(self, send: OpenSend, revision: RevisionRecord, request: ReconcileRequest) -> str:
        if receipts := self._doubts.receipts_of(send.id):
            return receipts[0][0]
        if not send.address:
            return ""
        message = Outbound(
            send_id=send.id,
            channel=request.channel,
            address=send.address,
            rendered=self._render(send, revision, request.step, request.channel),
            locale=send.recipient.locale,
            not_after=next(s.not_after for s in revision.plan.steps if s.id == request.step),
        )
        lookup = self._adapters[request.channel].look_up(message, send.intent_at)
        answer = asyncio.run_coroutine_threadsafe(lookup, self._loop).result()
        return "" if answer is None else answer.provider_id

    def _render(self, send: OpenSend, revision: RevisionRecord, step: str, channel: Channel) -> Rendered:
        playbook = self._playbooks.of(revision)
        row = send.recipient
        template = compile_step(playbook, step, channel, row.locale)
        return template.render(
            row.facts,
            promise=next_promise(revision.plan.steps, step, row.promises),
            zone=row.timezone or playbook.timezone,
            others=row.others,
        )


def _not_found(send: OpenSend) -> Settlement:
    return Settlement(id=send.id, state=SendState.UNKNOWN, reason="not_found_at_provider")
