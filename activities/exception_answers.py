"""The customer's answer to a granted exception: one message through the outreach's channel and its effect log."""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from typing import Any, TypeVar, cast

from temporalio import activity

from activities.answers import Answers, longest_wait, repeatable, settlement, still_in_doubt
from activities.clock import AttemptClock
from activities.dispatch import FRESH, OLD
from activities.exception_grants import NO_ANSWER, Granted, GrantReader
from activities.failures import later, told_plainly
from activities.matters import MatterApprovals
from tellfirst.channels.base import Adapter
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Answer, AnswerKind, Channel, Outbound, Rendered, SendState
from tellfirst.playbooks.answers import render_answer
from tellfirst.policy.gate import PageFacts, RowFacts, judge_page, judge_row
from tellfirst.policy.verdict import Verdict, withhold
from tellfirst.signing.audience import address_digest, content_digest
from tellfirst.signing.links import Links
from tellfirst.store.doubts import Doubts, Settlement
from tellfirst.store.exception_sends import ExceptionSends
from tellfirst.store.exceptions import EXECUTED
from tellfirst.store.gate_facts import Switches
from tellfirst.store.leases import FencedOffError, Leases, PageKey
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.sends import PlannedSend, Sends

T = TypeVar("T")
HELD = timedelta(seconds=30)


class Answered(Frozen):
    """Says what became of the answer: the state of its send, or `none` for a customer without a channel."""

    state: str
    reason: str = ""


class ExceptionAnswerActivities:
    """Sends answers; believes nothing in the workflow's state."""

    def __init__(
        self,
        *,
        reader: GrantReader,
        approvals: MatterApprovals,
        planned: ExceptionSends,
        sends: Sends,
        leases: Leases,
        doubts: Doubts,
        answers: Answers,
        outreaches: Outreaches,
        adapters: Mapping[str, Adapter],
        loop: asyncio.AbstractEventLoop,
        digest_key: bytes,
        links: Links,
        lease: timedelta,
        margin: timedelta,
        reconcile_after: timedelta,
    ) -> None:
        self._reader, self._approvals, self._planned = reader, approvals, planned
        self._sends, self._leases, self._doubts, self._answers = sends, leases, doubts, answers
        self._adapters, self._loop, self._digest_key = adapters, loop, digest_key
        self._outreaches, self._links = outreaches, links
        self._lease, self._margin, self._reconcile_after = lease, margin, reconcile_after

    @activity.defn(no_thread_cancel_exception=True)
    def answer_exception(self, request: str) -> Answered:
        """Answers the customer of an executed exception, at most once."""
        with told_plainly():
            clock = AttemptClock()
            granted = self._reader.read(request, now=clock.now())
            if isinstance(granted, str):
                return Answered(state="withheld", reason=granted)
            if granted.record.status != EXECUTED:
                return Answered(state="withheld", reason="not_executed")  # whatever the workflow, or who plays it, says
            record, grant = granted.record, granted.grant
            if not record.channel or grant.answer_digest == NO_ANSWER:
                return Answered(state="none", reason="no_channel")
            key = self._planned.key_of(
                record.recipient_id or 0,
                request,
                outreach=grant.outreach,
                customer=grant.customer,
                channel=record.channel,
            )
            if key is None:
                return Answered(state="withheld", reason="no_recipient")
            token = self._leases.take(key, now=clock.now(), until=clock.now() + self._lease)
            if token is None:
                raise later("PageHeld", "another worker holds this answer", self._lease / 4)
            try:
                return self._leave(granted, key, token, clock)
            except FencedOffError:
                raise later("FencedOff", "another worker has taken this answer over", self._lease / 4) from None
            finally:
                self._leases.release(key, token, now=clock.now())

    def _leave(self, granted: Granted, key: PageKey, token: int, clock: AttemptClock) -> Answered:
        adapter = self._adapters[granted.record.channel]
        recipient = granted.record.recipient_id or 0
        again = repeatable(adapter, clock.now())
        self._planned.open(key, recipient, granted.record.channel, repeat=again, token=token)
        for send in self._sends.planned(key, 1):
            if halted := self._send(granted, key, token, send, adapter, clock):
                raise later("Held", f"the answer is held ({halted})", HELD)
        state, reason = self._planned.state(key)
        if state is SendState.INTENT:
            return self._reconcile(granted, key, adapter, clock)
        if state is SendState.PLANNED:
            raise later("Held", "the answer did not leave", HELD)
        return Answered(state=state, reason=reason)

    def _send(
        self, granted: Granted, key: PageKey, token: int, send: PlannedSend, adapter: Adapter, clock: AttemptClock
    ) -> str:
        record, grant = granted.record, granted.grant
        text = self._render(granted)
        now = read_at = clock.now()
        aborted = self._aborted(key.outreach)
        code = self._approvals.holds(granted.matter, granted.rule, now)

        def facts(planned: PlannedSend, address: str | None) -> tuple[bool, bool, bool]:
            row = planned.recipient
            same = (
                address is not None and address_digest(self._digest_key, record.channel, address) == row.address_digest
            )
            return True, same, content_digest(text) == grant.answer_digest

        def judge(switches: Switches, rows: dict[str, RowFacts]) -> dict[str, Verdict] | str:
            nonlocal read_at
            read_at = clock.now()
            if read_at >= now + FRESH:  # a key may have been revoked since
                return OLD
            if aborted:
                return dict.fromkeys(rows, withhold("aborted"))
            page = PageFacts(
                now=now,
                pause_all=switches.pause_all,
                paused=switches.paused,
                blocked=switches.blocked,
                channel_halted=switches.channel_halted,
                decision=code,
                library="",  # its very words are signed
                not_after=grant.valid_until,
                step_kind="answer",
                channel=record.channel,
                purpose=granted.playbook.purpose,
            )
            verdict = judge_page(page)
            if now >= grant.valid_until or verdict.kind != "halt":
                # They asked: no place under the cap is needed to answer them.
                return {id_: judge_row(page, row.model_copy(update={"reserved": True})) for id_, row in rows.items()}
            return verdict.reason

        leaving = self._sends.intend(
            key,
            token,
            [send],
            channel=record.channel,
            adapter=adapter.name,
            nonce=grant.nonce,
            now=now,
            lease_until=lambda: clock.now() + self._lease,
            not_after=grant.valid_until,
            judge=judge,
            facts=facts,
        )
        if isinstance(leaving, str):
            return leaving
        if send.id not in leaving:
            return ""
        outbound = Outbound(
            send_id=send.id,
            channel=record.channel,
            address=leaving[send.id],
            rendered=text,
            locale=record.locale,
            not_after=grant.valid_until,
            customer=record.customer_id,
            unsubscribe_url=self._links.unsubscribe(send.id, grant.valid_until),
            preferences_url=self._links.preferences(send.id, grant.valid_until),
        )
        if clock.now() >= min(now + self._lease - self._margin, read_at + FRESH):
            # This process was stopped for a while: another one may hold the answer by now, and all may be paused.
            answers = [Answer(send_id=send.id, kind=AnswerKind.NOT_SENT, detail="late")]
        else:
            answers = self._on_loop(adapter.send([outbound], now=clock.now()))
        people = {send.id: record.customer_id}
        self._answers.take_in(
            answers, people, outreach=key.outreach, channel=record.channel, by=adapter.name, now=clock.now()
        )
        answers = [still_in_doubt(answer) if send.in_doubt else answer for answer in answers]
        settled = [settlement(answer, send.attempts + 1) for answer in answers]
        self._sends.settle(key, token, settled, {send.id: content_digest(text)}, now=clock.now())
        keyed = adapter.idempotency == "key"
        if (wait := longest_wait(answers, send.attempts + 1, keyed=keyed)) is not None:
            raise later("ProviderThrottled", "the provider asks to wait", timedelta(seconds=wait))
        return ""

    def _reconcile(self, granted: Granted, key: PageKey, adapter: Adapter, clock: AttemptClock) -> Answered:
        """Adopts what a receipt or the provider can prove, never by sending again; else a person decides."""
        record = granted.record
        for send in self._doubts.in_doubt(key.outreach, key.step, record.channel):
            due = send.intent_at + self._reconcile_after
            if clock.now() < due:
                raise later("InDoubt", "the provider is asked shortly", max(due - clock.now(), timedelta(seconds=1)))
            provider_id = next((found for found, _ in self._doubts.receipts_of(send.id)), "")
            if not provider_id and send.address:
                message = Outbound(
                    send_id=send.id,
                    channel=record.channel,
                    address=send.address,
                    rendered=self._render(granted),
                    locale=record.locale,
                    not_after=granted.grant.valid_until,
                )
                answer = self._on_loop(adapter.look_up(message, send.intent_at))
                provider_id = answer.provider_id if answer is not None else ""
            self._doubts.resolve([_found(send.id, provider_id)], now=clock.now())
        state, reason = self._planned.state(key)
        return Answered(state=state, reason=reason)

    def _aborted(self, outreach: str) -> bool:
        """Says whether an outreach was stopped for good: paused, and nobody left who could let it go on."""
        known = self._outreaches.get(outreach)
        return known is not None and known.paused and known.closed_at is not None

    def _render(self, granted: Granted) -> Rendered:
        record = granted.record
        return render_answer(
            granted.playbook,
            record.kind,
            cast("Channel", record.channel),
            record.locale,
            amount_minor=record.amount_minor,
            reference=record.id,
        )

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _found(send: str, provider_id: str) -> Settlement:
    if not provider_id:
        return Settlement(id=send, state=SendState.UNKNOWN, reason="not_found_at_provider")
    return Settlement(id=send, state=SendState.ACCEPTED, reason="reconciled", provider_id=provider_id)
