"""Dispatch: send one page of one step, each message at most once, each under a decision that holds at that moment."""

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent import futures
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from typing import Any, TypeVar

from temporalio import activity

from activities.answers import Answers, repeatable, settled
from activities.approvals import Approvals
from activities.canary import ContinueGate
from activities.clock import AttemptClock
from activities.failures import later, told_plainly
from activities.library import LibraryGate
from activities.pacing import Pace
from activities.pages import Page, PageReport, PageRequest
from activities.playbooks import PlannedPlaybooks
from activities.slots import Slots
from activities.sources import Sources, Watch
from activities.turns import Turns
from tellfirst.channels.base import Adapter
from tellfirst.domain.condition import Facts
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.policy.gate import PageFacts, RowFacts, judge_page, judge_row
from tellfirst.policy.hours import closing
from tellfirst.policy.quiet import RINGING
from tellfirst.policy.verdict import Verdict
from tellfirst.signing.audience import address_digest, content_digest
from tellfirst.signing.decisions import CLOCK_SKEW
from tellfirst.signing.links import Links
from tellfirst.store.admissions import Admissions
from tellfirst.store.gate_facts import Switches
from tellfirst.store.leases import FencedOffError, Leases
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.sends import PlannedSend, Sends, Tally
from tellfirst.store.whereabouts import HourRules

T = TypeVar("T")
CALLED_BACK = "called_back"
"""Says of a page that its outreach has something else to do first; nothing is wrong with it."""
OLD = "old"
"""Says of a micro-batch that what it was judged by had grown old before its transaction began; it is read again."""
LOOK_EVERY = 0.5
"""Seconds after which a page that waits for its turn looks whether it is called back or its worker stops."""
SAY_EVERY = 1.0
"""Seconds after which a page whose provider takes its time says that it is not dead: others take over who is silent."""
TAKE_OVER_EVERY = timedelta(seconds=1)
"""How often a page that another worker holds is asked for: free when given back or silent for a lease."""
FRESH = timedelta(seconds=3)
"""How old what the gate has read may be when a request begins: whoever pauses is promised five seconds."""


class DispatchActivities:
    """Sends pages; believes nothing in the workflow's state."""

    def __init__(
        self,
        *,
        outreaches: Outreaches,
        admissions: Admissions,
        sends: Sends,
        leases: Leases,
        answers: Answers,
        approvals: Approvals,
        continues: ContinueGate,
        gate: LibraryGate,
        playbooks: PlannedPlaybooks,
        sources: Sources,
        adapters: Mapping[str, Adapter],
        pace: Pace,
        loop: asyncio.AbstractEventLoop,
        turns: Turns,
        digest_key: bytes,
        hours: HourRules,
        links: Links,
        lease: timedelta,
        margin: timedelta,
    ) -> None:
        self._outreaches, self._admissions = outreaches, admissions
        self._sends, self._leases, self._answers = sends, leases, answers
        self._approvals, self._continues = approvals, continues
        self._gate, self._playbooks = gate, playbooks
        self._sources, self._adapters, self._pace = sources, adapters, pace
        self._loop, self._turns = loop, turns
        self._digest_key, self._hours, self._links = digest_key, hours, links
        self._slots = {
            (channel, urgent): Slots(adapter.in_flight, every=LOOK_EVERY)
            for (channel, adapter), urgent in product(adapters.items(), (False, True))
        }
        # A request may still run for its whole time-out: none begins when less than that is left of the lease.
        self._lease, self._margin = lease, margin

    # Cancellation and shutdown are looked at between micro-batches: between a request and its recorded answer there is
    # nothing safe to stop at.
    @activity.defn(no_thread_cancel_exception=True)
    def dispatch(self, request: PageRequest) -> PageReport:
        """Sends what is still to be sent of a page, from wherever an earlier attempt was cut off."""
        clock = AttemptClock()  # before any wait: by so much it would be behind
        with told_plainly(), self._turns.taken():
            revision = self._outreaches.revision(request.outreach, request.revision)
            if revision is None:
                return PageReport(accepted=0, withheld=0, failed=0, in_doubt=0, halted="no_such_revision")
            signed = self._approvals.page(revision, request.page, request.channel)
            page = Page(request, revision, self._playbooks.of(revision), signed)
            adapter = self._adapters[request.channel]
            token = self._leases.take(page.key, now=clock.now(), until=clock.now() + self._lease)
            if token is None:
                raise later("PageHeld", "another worker holds this page", TAKE_OVER_EVERY)
            try:
                watched = self._sources.watches(page.playbook)
                parameters = self._parameters(request.outreach) if watched else {}
                with self._sources.watch(page.playbook, parameters) as watch:
                    return self._leave(page, adapter, token, clock, watch)
            except FencedOffError:
                raise later("FencedOff", "another worker has taken this page over", TAKE_OVER_EVERY) from None
            finally:
                self._leases.release(page.key, token, now=clock.now())

    def _leave(self, page: Page, adapter: Adapter, token: int, clock: AttemptClock, watch: Watch | None) -> PageReport:
        again = repeatable(adapter, clock.now())
        self._sends.open_page(page.key, kind=page.step.kind, channel=page.channel, repeat=again, token=token)
        while batch := self._sends.planned(page.key, adapter.in_flight, now=clock.now()):
            batch, units = self._pace.fit(page.channel, batch, page.render)
            if not self._turn_comes(page, units, batch[0].recipient.position):
                return self._report(page, halted=CALLED_BACK)
            # An intent whose request waited for a connection would be in doubt after a kill, though nobody was asked.
            slots = self._slots[page.channel, page.playbook.urgency == "urgent"]
            with self._turns.left():
                taken = slots.take(len(batch), partial(self._beat, batch[0].recipient.position))
            try:
                halted = self._micro_batch(page, adapter, token, batch, clock, watch)
            finally:
                slots.give(taken)
            if halted:
                return self._report(page, halted=halted)
            self._say(batch[-1].recipient.position)
        return self._report(page)

    def _turn_comes(self, page: Page, units: int, position: int) -> bool:
        """Waits until a micro-batch may leave; returns False when its page is called back meanwhile."""
        urgent = page.playbook.urgency == "urgent"
        while True:
            if activity.is_cancelled():
                return False
            self._go_on()
            if not (wait := self._pace.take(page.channel, units, urgent=urgent)):
                return True
            self._say(position)
            with self._turns.left():
                self._pace.rest(min(wait, LOOK_EVERY))

    def _beat(self, position: int) -> None:
        self._go_on()
        activity.heartbeat(position)

    def _go_on(self) -> None:
        if activity.is_worker_shutdown():
            raise later("ShuttingDown", "this worker is stopping", timedelta(seconds=1))

    def _micro_batch(
        self,
        page: Page,
        adapter: Adapter,
        token: int,
        batch: list[PlannedSend],
        clock: AttemptClock,
        watch: Watch | None,
    ) -> str:
        keys = [send.recipient.subject_key for send in batch]
        affected = None
        if watch is not None:
            with self._turns.left():  # the database of others takes as long as it takes
                affected = watch.still(keys, at=clock.now())
        texts = {send.id: page.render(send) for send in batch}
        # Again for every micro-batch: a key revoked meanwhile stops the rest.
        now = read_at = clock.now()
        lease_until = now
        code = (
            page.signed.differs
            or self._approvals.holds(page.revision, now=now)
            or self._continues.refusal(page.revision, page.key.page, page.step, now=now)
        )
        library = self._gate.refusal(page.playbook, page.revision.proposal.playbook_version, now=now)
        last_hour: dict[str, datetime] = {}

        def facts(send: PlannedSend, address: str | None) -> tuple[bool, bool, bool]:
            row, text = send.recipient, texts[send.id]
            # Of one who was forgotten only the leaf is known: whatever else the row holds, nobody signed it.
            same_address = (
                not row.leaf
                and address is not None
                and address_digest(self._digest_key, page.channel, address) == row.address_digest
            )
            # The row was read after its page was held against the root: it must still be what was signed.
            same_content = (
                text is not None
                and page.signed.covers(row)
                and (not page.step.opens or content_digest(text) == row.content_digest)
            )
            return (affected is None or row.subject_key in affected), same_address, same_content

        def renewed() -> datetime:
            nonlocal lease_until
            lease_until = clock.now() + self._lease
            return lease_until

        def judge(switches: Switches, rows: dict[str, RowFacts]) -> dict[str, Verdict] | str:
            nonlocal read_at
            read_at = clock.now()
            if read_at >= now + FRESH:  # a key may have been revoked since, or the condition be over
                return OLD
            of_page = PageFacts(
                now=now,
                pause_all=switches.pause_all,
                paused=switches.paused,
                blocked=switches.blocked,
                channel_halted=switches.channel_halted,
                decision=code,
                library=library,
                not_after=page.step.not_after,
                step_kind=page.step.kind,
                channel=page.channel,
                purpose=page.playbook.purpose,
                # The workflow's timer and this attempt are told by two clocks.
                not_before=page.step.act_at and page.step.act_at - CLOCK_SKEW,
            )
            verdict = judge_page(of_page)
            if verdict.kind == "halt":
                return verdict.reason
            if affected is None and switches.cleared:
                rows = {id_: row.model_copy(update={"condition_holds": False}) for id_, row in rows.items()}
            if page.channel in RINGING:  # or the provider's queue would ring when we would not
                ends = {id_: closing(row.calendar, now) for id_, row in rows.items()}
                last_hour.update({id_: end for id_, end in ends.items() if end is not None})
            return {id_: judge_row(of_page, row) for id_, row in rows.items()}

        leaving = self._sends.intend(
            page.key,
            token,
            batch,
            channel=page.channel,
            adapter=adapter.name,
            nonce=page.revision.proposal.nonce,
            now=now,
            lease_until=renewed,
            not_after=page.step.not_after,
            judge=judge,
            facts=facts,
            hours=self._hours.of(page.playbook.timing),
        )
        if isinstance(leaving, str):
            return "" if leaving == OLD else leaving
        outbound = [
            Outbound(
                send_id=send.id,
                channel=page.channel,
                address=leaving[send.id],
                rendered=text,
                locale=send.recipient.locale,
                not_after=min(page.step.not_after, last_hour.get(send.id, page.step.not_after)),
                customer=send.recipient.customer,
                unsubscribe_url=self._links.unsubscribe(send.id, page.step.not_after),
                preferences_url=self._links.preferences(send.id, page.step.not_after),
            )
            for send in batch
            if send.id in leaving and (text := texts[send.id]) is not None
        ]
        if not outbound:
            return ""
        # Slow is not dead: the database may have taken its time for the intents, and the provider may for the answers.
        self._say(batch[0].recipient.position)
        if clock.now() >= min(lease_until - self._margin, read_at + FRESH):
            # This process was stopped for a while; whoever takes the page over must not meet our requests, and what
            # was read may no longer be so.
            answers = [Answer(send_id=m.send_id, kind=AnswerKind.NOT_SENT, detail="late") for m in outbound]
        else:
            answers = self._on_loop(adapter.send(outbound, now=clock.now()), batch[0].recipient.position)
        bodies = {message.send_id: content_digest(message.rendered) for message in outbound}
        self._settle(page, adapter, token, batch, answers, bodies, clock.now())
        return ""

    def _settle(
        self,
        page: Page,
        adapter: Adapter,
        token: int,
        batch: list[PlannedSend],
        answers: list[Answer],
        bodies: Mapping[str, str],
        now: datetime,
    ) -> None:
        people = {send.id: send.recipient.customer for send in batch}
        # First what an answer tells beyond its own send: killed in between, we would never hear it again.
        self._answers.take_in(
            answers, people, outreach=page.key.outreach, channel=page.channel, by=adapter.name, now=now
        )
        settlements, wait = settled(answers, batch, keyed=adapter.idempotency == "key", now=now)
        self._sends.settle(page.key, token, settlements, dict(bodies), now=now)
        if wait is not None:
            raise later("ProviderThrottled", "the provider asks to wait", timedelta(seconds=wait))

    def _parameters(self, outreach: str) -> Facts:
        case = self._outreaches.get(outreach)
        return {} if case is None else self._admissions.parameters(case.trigger, case.key, case.episode)

    def _report(self, page: Page, *, halted: str = "") -> PageReport:
        tally: Tally = self._sends.tally(page.key.outreach, page=page.key)
        return PageReport(
            accepted=tally.accepted,
            withheld=tally.withheld,
            failed=tally.failed,
            in_doubt=tally.in_doubt + tally.unknown,
            halted=halted,
            deferred=tally.deferred,
            next_at=self._sends.next_hour(page.key) if tally.deferred else None,
            broken=self._sends.too_late(page.key) if tally.withheld and page.step.due is not None else 0,
        )

    def _say(self, position: int) -> None:
        with self._turns.left():
            activity.heartbeat(position)

    def _on_loop(self, work: Coroutine[Any, Any, T], position: int) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        with self._turns.left():
            while not futures.wait([future], timeout=SAY_EVERY).done:
                activity.heartbeat(position)
        return future.result()
