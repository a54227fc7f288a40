"""Planning: claim the condition, freeze audience and words, say what is to be signed."""

import secrets
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.addenda import ToldBefore
from activities.audience import Audience
from activities.beat import Beat
from activities.behind import Behind
from activities.clock import AttemptClock
from activities.costs import Costs
from activities.failures import on_record, told_plainly
from activities.library import LibraryGate
from activities.permits import StandingPermits
from activities.sources import Sources
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import ADMITTED, Condition
from tellfirst.domain.message import Channel
from tellfirst.domain.plan import PageRange, Plan, PlannedStep
from tellfirst.domain.recipient import ELIGIBLE, OnRecord, Recipient
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.loader import LoadedPlaybook, parse
from tellfirst.playbooks.promises import next_promise, planned_steps, whole_seconds
from tellfirst.playbooks.render import Template, compile_step, template_digests
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.canary import spread
from tellfirst.policy.choice import in_order
from tellfirst.signing.audience import content_digest, page_digest, root
from tellfirst.signing.kinds import Proposal, StepBinding
from tellfirst.signing.leaves import leaf_of
from tellfirst.store.alternates import Alternates
from tellfirst.store.outreaches import Outreaches, OutreachRecord, RevisionRecord
from tellfirst.store.recipients import Recipients
from tellfirst.store.restarts import Restarts


class PlanRequest(Frozen):
    """Asks for one revision; the first brings the condition, later ones work on what is recorded.

    `replaces` is the revision this one stands in for; without it only subjects not planned yet are planned. `addendum`
    is the version of a draft, which is for those who received a step.
    """

    outreach: str
    run: str
    revision: int
    condition: Condition | None = None
    replaces: int = 0
    addendum: str = ""


class PlanAnswer(Frozen):
    """Is the plan, or why there is none; `not_told` counts the subjects left out, by reason."""

    status: Literal["ready", "nothing_to_do", "duplicate", "refused"]
    reason: str = ""
    plan: Plan | None = None
    permit: str = ""  # the standing permit that covers it, so that no further decision is asked for
    not_told: dict[str, int] = Field(default_factory=dict)
    on_record: OnRecord | None = None  # how far it had come under a workflow that is gone
    more: bool = False  # further revisions are on record


class PlanningActivities:
    """Makes plan revisions."""

    def __init__(
        self,
        *,
        outreaches: Outreaches,
        recipients: Recipients,
        restarts: Restarts,
        alternates: Alternates,
        audience: Audience,
        sources: Sources,
        library: Mapping[str, LoadedPlaybook],
        gate: LibraryGate,
        standing: StandingPermits,
        costs: Costs,
        told_before: ToldBefore,
        environment: str,
        page_size: int,
        reconcile_after: timedelta,
    ) -> None:
        self._outreaches, self._recipients = outreaches, recipients
        self._restarts, self._alternates, self._audience = restarts, alternates, audience
        self._sources, self._library = sources, library
        self._gate, self._standing, self._told_before, self._costs = gate, standing, told_before, costs
        self._environment, self._page_size, self._reconcile_after = environment, page_size, reconcile_after

    @activity.defn(no_thread_cancel_exception=True)
    def plan(self, request: PlanRequest) -> PlanAnswer:
        """Plans one revision; asked again, it answers the same."""
        with told_plainly():
            answer = self._plan(request, AttemptClock().now())
            more = self._outreaches.latest_revision(request.outreach) > request.revision
            return answer.model_copy(update={"more": more})

    def _plan(self, request: PlanRequest, now: datetime) -> PlanAnswer:
        outreach = request.outreach
        if request.condition is not None:
            if refusal := self._refusal(request.condition, outreach, now):
                return PlanAnswer(status="refused", reason=refusal)
            if not self._outreaches.claim(outreach, request.condition, run=request.run, now=now):
                return PlanAnswer(status="duplicate", reason="another outreach has claimed this condition")
        case = on_record(self._outreaches.get(outreach))
        loaded = self._drafted(request.addendum) if request.addendum else self._library[case.trigger]
        playbook = loaded.playbook
        if request.condition is None and self._outreaches.revision(outreach, request.revision) is None:
            self._let_through(loaded, now)
        if request.replaces:
            self._outreaches.set_status(outreach, request.replaces, "replaced")
        if frozen := self._outreaches.revision(outreach, request.revision):
            record = self._restarts.on_record(frozen, paused=case.paused)
            return self._ready(frozen, now).model_copy(update={"on_record": record})
        # Whom an old condition reaches only now is not late for that; each sweep judges their own age.
        if request.condition is not None and now - case.detected_at > playbook.detector.max_age:
            return PlanAnswer(status="nothing_to_do", reason="too_old")
        self._outreaches.keep_playbook(loaded.version, playbook.id, loaded.text, now=now)
        self._outreaches.open_revision(outreach, request.revision, loaded.version, now=now)
        if request.addendum:
            self._told_before.gather(outreach, request.revision, playbook)
        else:
            self._audience.gather(case, request.revision, playbook, now)
        steps = planned_steps(playbook, now)
        ranges, canary, audience_root = self._freeze_pages(request, playbook, steps)
        counts = Counter(self._recipients.verdicts(outreach, request.revision))
        eligible = counts.pop(ELIGIBLE, 0)
        if not eligible:
            # Their verdicts stand; they do not make the condition look as if it had grown again.
            self._outreaches.set_status(outreach, request.revision, "empty")
            return PlanAnswer(status="nothing_to_do", reason="nobody_to_tell", not_told=dict(counts))
        plan = Plan(
            revision=request.revision,
            playbook=playbook.id,
            playbook_version=loaded.version,
            reason_code=playbook.reason_code,
            owner=playbook.owners.owner,
            approvers=playbook.owners.approvers,
            needed=playbook.approval.needed(eligible),
            ladder=playbook.rungs,
            planned_at=whole_seconds(now),
            urgent=playbook.urgency == "urgent",
            recipients=eligible,
            not_told=counts.total(),
            watched=self._sources.watches(playbook) or (case.audience is not None and case.audience.query != ADMITTED),
            pages=ranges,
            canary=canary,
            root=audience_root,
            remind_at=whole_seconds(now + playbook.approval.remind_after),
            escalate_at=whole_seconds(now + playbook.approval.escalate_after),
            decide_by=whole_seconds(now + playbook.approval.expires_after),
            valid_until=max(step.not_after for step in steps),
            steps=steps,
            window=playbook.measure.window,
            watermark_timeout=playbook.measure.watermark_timeout,
            reconcile_after=self._reconcile_after,
            fallback_after=playbook.choice.fallback_after,
            call_within=playbook.choice.call_within,
        )
        self._outreaches.freeze(outreach, plan, self._proposal(case, plan, playbook, now))
        frozen = self._outreaches.revision(outreach, plan.revision)
        assert frozen is not None  # noqa: S101 - frozen just now
        return self._ready(frozen, now)

    def _ready(self, frozen: RevisionRecord, now: datetime) -> PlanAnswer:
        use = None if frozen.plan.unplanned else self._standing.use(frozen, now=now)
        return PlanAnswer(
            status="ready",
            plan=frozen.plan.model_copy(update={"playbook_version": ""}),
            permit="" if use is None or use.reason else use.permit,
            not_told=self._not_told(frozen.outreach, frozen.number),
        )

    def _refusal(self, condition: Condition, outreach: str, now: datetime) -> str:
        loaded = self._library.get(condition.trigger)
        if loaded is None:
            return "unknown_trigger"
        if self._outreaches.revision(outreach, 1) is None and (
            refusal := self._gate.refusal(loaded.playbook, loaded.version, now=now)
        ):
            return refusal
        if condition.audience is None or condition.audience.query == ADMITTED:
            return ""
        if condition.audience.query not in loaded.playbook.audience:
            return "unknown_audience_query"
        return "" if self._sources.configured else "no_operational_source"

    def _drafted(self, version: str) -> LoadedPlaybook:
        text = self._outreaches.playbook_text(version)
        assert text is not None  # noqa: S101 - kept when it was drafted
        return parse(text, "the draft")

    def _let_through(self, loaded: LoadedPlaybook, now: datetime) -> None:
        # Some were told already: what is still owed to them waits for a person, and is not given up.
        if refusal := self._gate.refusal(loaded.playbook, loaded.version, now=now):
            raise ApplicationError(
                f"this version of the playbook may not send: {refusal}", type=refusal, non_retryable=True
            )

    def _freeze_pages(
        self, request: PlanRequest, playbook: Playbook, steps: tuple[PlannedStep, ...]
    ) -> tuple[tuple[PageRange, ...], int, str]:
        """Returns the pages, how many of them leave first, and the root over all."""
        ranges: list[PageRange] = []
        digests: list[str] = []
        templates: dict[Channel, dict[str, Template]] = {channel: {} for channel in playbook.channels}
        beat = Beat()

        reached: dict[tuple[Channel, bool], int] = {}

        def freeze(channel: Channel, left: int, *, alternate: bool = False) -> None:
            audience, first = self._alternates if alternate else self._recipients, len(digests)
            mine = (request.outreach, request.revision, channel)
            while rows := audience.unpaged(
                *mine, min(left, self._page_size), after=reached.get((channel, alternate), -1)
            ):
                contents, misfits = self._contents(rows, playbook, steps, templates[channel])
                if misfits:
                    # One value that makes a text too long must not keep everyone else waiting.
                    audience.leave_out(misfits, "text_does_not_fit")
                    continue
                digest = page_digest([leaf_of(row, contents[row.id]) for row in rows])
                behind.do(
                    audience.add_page, request.outreach, request.revision, len(digests), channel, contents, digest
                )
                digests.append(digest)
                reached[channel, alternate] = rows[-1].position
                left -= len(rows)
                beat.tell(len(digests))
            behind.wait()
            if count := len(digests) - first:
                ranges.append(PageRange(channel=channel, first=first, count=count, alternate=alternate))

        with Behind() as behind:
            counts = self._recipients.eligible_on(request.outreach, request.revision)
            few = 0 if playbook.addendum else playbook.approval.first_few(sum(counts.values()))
            for channel, share in spread(few, {c: counts.get(c, 0) for c in playbook.channels}).items():
                if share:
                    freeze(channel, share)
            canary = len(digests)
            for channel in playbook.channels:
                if channel in counts:
                    freeze(channel, sys.maxsize)
            canary = canary if canary < len(digests) else 0
            # Behind everybody: the pages that are counted, drawn and waited for are those of the channels of choice.
            # A call is among them the first for everybody: pages stand in the order of each recipient's channels.
            order = in_order(playbook.channels, urgency=playbook.urgency, by=playbook.choice.order)
            others = self._alternates.channels(request.outreach, request.revision)
            for channel in sorted(others.intersection(order), key=lambda one: (one != "person", order.index(one))):
                freeze(channel, sys.maxsize, alternate=True)
        return tuple(ranges), canary, root(digests)

    def _contents(
        self,
        rows: list[Recipient],
        playbook: Playbook,
        steps: tuple[PlannedStep, ...],
        templates: dict[str, Template],
    ) -> tuple[dict[int, str], list[int]]:
        contents: dict[int, str] = {}
        misfits: list[int] = []
        for row in rows:
            promise = next_promise(steps, playbook.initial.id, row.promises)
            if row.locale not in templates:
                templates[row.locale] = compile_step(playbook, playbook.initial.id, row.channel, row.locale)
            zone = row.timezone or playbook.timezone
            try:
                rendered = templates[row.locale].render(row.facts, promise=promise, zone=zone, others=row.others)
            except RenderError:
                misfits.append(row.id)
            else:
                contents[row.id] = content_digest(rendered)
        return contents, misfits

    def _proposal(self, case: OutreachRecord, plan: Plan, playbook: Playbook, now: datetime) -> Proposal:
        outreach = case.id
        cost = self._costs.of(outreach, plan.revision, playbook)
        counts: Counter[str] = Counter()
        fallbacks: Counter[str] = Counter()
        for pages in plan.pages:
            rows = self._recipients.rows_on(outreach, plan.revision, pages.first, pages.first + pages.count)
            (fallbacks if pages.alternate else counts)[pages.channel] += rows
        return Proposal(
            environment=self._environment,
            outreach=outreach,
            revision=plan.revision,
            playbook=playbook.id,
            playbook_version=plan.playbook_version,
            steps={
                step.id: StepBinding(
                    templates={
                        key: digest
                        for key, digest in template_digests(playbook, step.id).items()
                        if key.partition(".")[0] in plan.channels
                    },
                    facts="frozen",
                )
                for step in playbook.steps
            },
            audience_root=plan.root,
            audience_count=plan.recipients,
            canary=plan.canary,
            channels=counts,
            fallbacks=fallbacks,
            purpose=playbook.purpose,
            addendum=playbook.adds,
            promises={step.id: step.due for step in plan.updates if step.due is not None},
            proposer=case.proposer,
            editor=self._gate.editor(playbook.id, plan.playbook_version, now=now),
            cost_micros=cost.micros,
            currency=cost.currency,
            decide_by=plan.decide_by,
            valid_until=plan.valid_until,
            nonce=secrets.token_hex(16),
        )

    def _not_told(self, outreach: str, revision: int) -> dict[str, int]:
        counts = self._recipients.verdicts(outreach, revision)
        return {verdict: count for verdict, count in counts.items() if verdict != ELIGIBLE}
