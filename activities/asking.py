"""Asking: the messages of a survey, through the gate, the effect log and the channels that every message goes by."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import AwareDatetime
from temporalio import activity

from activities.answers import Answers, repeatable, settled
from activities.clock import AttemptClock
from activities.dispatch import FRESH, LOOK_EVERY
from activities.failures import later, told_plainly
from activities.library import LibraryGate
from activities.pacing import Pace
from activities.playbooks import PlannedPlaybooks
from activities.surveys import SurveyPageRequest
from tellfirst.channels.base import Adapter
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Answer, AnswerKind, Outbound, Rendered, SendState
from tellfirst.errors import TellfirstError
from tellfirst.playbooks.asking import render_survey
from tellfirst.playbooks.schema import Playbook
from tellfirst.playbooks.survey import Survey
from tellfirst.policy.gate import PageFacts, RowFacts, judge_page, judge_row
from tellfirst.policy.hours import closing
from tellfirst.policy.quiet import RINGING
from tellfirst.policy.verdict import Verdict
from tellfirst.signing.audience import content_digest
from tellfirst.signing.links import Links
from tellfirst.store.doubts import Doubts, OpenSend, Settlement
from tellfirst.store.gate_facts import Switches
from tellfirst.store.leases import FencedOffError, Leases
from tellfirst.store.outreaches import Outreaches, RevisionRecord
from tellfirst.store.sends import PlannedSend, Sends
from tellfirst.store.surveys import SurveyPage, Surveys
from tellfirst.store.whereabouts import HourRules

T = TypeVar("T")


class Asked(Frozen):
    """Says when to go on with a page, or why it is held; neither when nothing of it is left to ask."""

    next_at: AwareDatetime | None = None
    halted: str = ""


class AskingActivities:
    """Sends questions; believes nothing in the workflow's state."""

    def __init__(
        self,
        *,
        surveys: Surveys,
        outreaches: Outreaches,
        sends: Sends,
        leases: Leases,
        doubts: Doubts,
        answers: Answers,
        gate: LibraryGate,
        playbooks: PlannedPlaybooks,
        adapters: Mapping[str, Adapter],
        pace: Pace,
        loop: asyncio.AbstractEventLoop,
        hours: HourRules,
        links: Links,
        lease: timedelta,
        margin: timedelta,
        reconcile_after: timedelta,
    ) -> None:
        self._surveys, self._outreaches = surveys, outreaches
        self._sends, self._leases, self._doubts, self._answers = sends, leases, doubts, answers
        self._gate, self._playbooks = gate, playbooks
        self._adapters, self._pace, self._loop = adapters, pace, loop
        self._hours, self._links = hours, links
        self._lease, self._margin, self._reconcile_after = lease, margin, reconcile_after

    @activity.defn(no_thread_cancel_exception=True)
    def ask_page(self, request: SurveyPageRequest) -> Asked:
        """Asks whoever of a page is still to be asked, each at most once, from wherever an attempt was cut off."""
        with told_plainly():
            clock = AttemptClock()
            page = self._surveys.page(request.outreach, request.page)
            revision = None if page is None else self._outreaches.revision(page.outreach, page.revision)
            survey = None if revision is None else self._playbooks.of(revision).survey
            if page is None or revision is None or survey is None:
                return Asked()  # nobody was drawn
            token = self._leases.take(page.key, now=clock.now(), until=clock.now() + self._lease)
            if token is None:
                raise later("PageHeld", "another worker asks this page", self._lease / 4)
            try:
                return self._leave(_Page(page, revision, self._playbooks.of(revision), survey), token, clock)
            except FencedOffError:
                raise later("FencedOff", "another worker has taken this page over", self._lease / 4) from None
            finally:
                self._leases.release(page.key, token, now=clock.now())

    def _leave(self, of: "_Page", token: int, clock: AttemptClock) -> Asked:
        page, adapter = of.page, self._adapters[of.page.channel]
        self._surveys.open_page(page, repeat=repeatable(adapter, clock.now()), token=token)
        while batch := self._surveys.planned(page, adapter.in_flight, now=clock.now()):
            batch, units = self._pace.fit(page.channel, batch, lambda send: of.render(self._link(send, page)))
            self._turn_comes(page, units)
            if halted := self._micro_batch(of, adapter, token, batch, clock):
                return Asked(halted=halted)
            activity.heartbeat(batch[-1].recipient.position)
        in_doubt = self._reconcile(of, adapter, clock)
        waits = [at for at in (self._sends.next_hour(page.key), in_doubt) if at is not None]
        return Asked(next_at=min(waits, default=None))

    def _turn_comes(self, page: SurveyPage, units: int) -> None:
        while wait := self._pace.take(page.channel, units, urgent=False):
            activity.heartbeat()
            if activity.is_worker_shutdown() or activity.is_cancelled():
                raise later("ShuttingDown", "this worker is stopping", timedelta(seconds=1))
            self._pace.rest(min(wait, LOOK_EVERY))

    def _micro_batch(
        self, of: "_Page", adapter: Adapter, token: int, batch: list[PlannedSend], clock: AttemptClock
    ) -> str:
        page, playbook, version = of.page, of.playbook, of.revision.proposal.playbook_version
        texts = {send.id: of.render(self._link(send, page)) for send in batch}
        now = read_at = clock.now()
        lease_until = now

        def renewed() -> datetime:
            nonlocal lease_until
            lease_until = clock.now() + self._lease
            return lease_until

        # Nobody signed these words for these people: they are the library's, and hold while it lets them.
        kept = self._playbooks.is_signed(of.revision)
        library = self._gate.refusal(playbook, version, now=now) if kept else "stale_content"
        last_hour: dict[str, datetime] = {}

        def facts(send: PlannedSend, address: str | None) -> tuple[bool, bool, bool]:
            return True, not send.recipient.leaf, texts[send.id] is not None

        def judge(switches: Switches, rows: dict[str, RowFacts]) -> dict[str, Verdict] | str:
            nonlocal read_at
            read_at = clock.now()
            of_page = PageFacts(
                now=now,
                pause_all=switches.pause_all,
                paused=switches.paused,
                blocked=switches.blocked,
                channel_halted=switches.channel_halted,
                decision="",
                library=library,
                not_after=page.not_after,
                step_kind="survey",
                channel=page.channel,
                purpose=of.survey.purpose,
            )
            verdict = judge_page(of_page)
            if verdict.kind == "halt" and now < page.not_after:  # later on nobody is asked, whatever is held
                return verdict.reason
            if page.channel in RINGING:
                ends = {id_: closing(row.calendar, now) for id_, row in rows.items()}
                last_hour.update({id_: end for id_, end in ends.items() if end is not None})
            return {id_: judge_row(of_page, row) for id_, row in rows.items()}

        leaving = self._sends.intend(
            page.key,
            token,
            batch,
            channel=page.channel,
            adapter=adapter.name,
            nonce=version,
            now=now,
            lease_until=renewed,
            not_after=page.not_after,
            judge=judge,
            facts=facts,
            # However urgent it was: a question never rings at night.
            hours=self._hours.of(
                playbook.timing.model_copy(update={"ignores_hours": False, "ignores_customer": False})
            ),
        )
        if isinstance(leaving, str):
            return leaving
        outbound = [
            self._outbound(send, text, leaving[send.id], page, last_hour.get(send.id, page.not_after))
            for send in batch
            if send.id in leaving and (text := texts[send.id]) is not None
        ]
        if not outbound:
            return ""
        activity.heartbeat(batch[0].recipient.position)
        if clock.now() >= min(lease_until - self._margin, read_at + FRESH):
            answers = [Answer(send_id=m.send_id, kind=AnswerKind.NOT_SENT, detail="late") for m in outbound]
        else:
            answers = self._on_loop(adapter.send(outbound, now=clock.now()))
        bodies = {message.send_id: content_digest(message.rendered) for message in outbound}
        self._settle(page, adapter, token, batch, answers, bodies, clock.now())
        return ""

    def _settle(
        self,
        page: SurveyPage,
        adapter: Adapter,
        token: int,
        batch: Sequence[PlannedSend],
        answers: list[Answer],
        bodies: Mapping[str, str],
        now: datetime,
    ) -> None:
        people = {send.id: send.recipient.customer for send in batch}
        self._answers.take_in(answers, people, outreach=page.outreach, channel=page.channel, by=adapter.name, now=now)
        settlements, wait = settled(answers, batch, keyed=adapter.idempotency == "key", now=now)
        self._sends.settle(page.key, token, settlements, dict(bodies), now=now)
        if wait is not None:
            raise later("ProviderThrottled", "the provider asks to wait", timedelta(seconds=wait))

    def _reconcile(self, of: "_Page", adapter: Adapter, clock: AttemptClock) -> datetime | None:
        """Adopts what a receipt or the provider can prove, never by asking again; returns when to look once more."""
        page, nexts = of.page, []
        for send in self._doubts.in_doubt(page.outreach, page.key.step, page.channel, revision=page.revision):
            due = send.intent_at + self._reconcile_after
            if clock.now() < due:
                nexts.append(due)
                continue
            provider_id = self._proof(of, send, adapter)
            state = SendState.ACCEPTED if provider_id else SendState.UNKNOWN
            why = "reconciled" if provider_id else "not_found_at_provider"
            found = Settlement(id=send.id, state=state, reason=why, provider_id=provider_id)
            if not self._doubts.resolve([found], now=clock.now()) and provider_id:
                unknown = Settlement(id=send.id, state=SendState.UNKNOWN, reason="not_found_at_provider")
                self._doubts.resolve([unknown], now=clock.now())
            activity.heartbeat()
        return min(nexts, default=None)

    def _proof(self, of: "_Page", send: OpenSend, adapter: Adapter) -> str:
        if receipts := self._doubts.receipts_of(send.id):
            return receipts[0][0]
        locale = self._surveys.locale(send.id)
        text = of.render((self._links.survey(send.id, of.page.not_after), locale))
        if not send.address or text is None:
            return ""
        message = Outbound(
            send_id=send.id,
            channel=of.page.channel,
            address=send.address,
            rendered=text,
            locale=locale,
            not_after=of.page.not_after,
        )
        answer = self._on_loop(adapter.look_up(message, send.intent_at))
        return "" if answer is None else answer.provider_id

    def _link(self, send: PlannedSend, page: SurveyPage) -> tuple[str, str]:
        return self._links.survey(send.id, page.not_after), send.recipient.locale

    def _outbound(
        self, send: PlannedSend, text: Rendered, address: str, page: SurveyPage, last_hour: datetime
    ) -> Outbound:
        return Outbound(
            send_id=send.id,
            channel=page.channel,
            address=address,
            rendered=text,
            locale=send.recipient.locale,
            not_after=min(page.not_after, last_hour),
            customer=send.recipient.customer,
            unsubscribe_url=self._links.unsubscribe(send.id, page.not_after),
            preferences_url=self._links.preferences(send.id, page.not_after),
        )

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _Page:
    """Is one page with the playbook that it is asked by."""

    def __init__(self, page: SurveyPage, revision: RevisionRecord, playbook: Playbook, survey: Survey) -> None:
        self.page, self.revision, self.playbook, self.survey = page, revision, playbook, survey

    def render(self, given: tuple[str, str]) -> Rendered | None:
        """Returns the question with a link in a locale, None where it cannot be written."""
        link, locale = given
        try:
            return render_survey(self.playbook, self.page.channel, locale, link=link)
        except TellfirstError:
            return None
