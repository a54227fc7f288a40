"""After the first few: the signed word that lets the others go, opened, closed, held against each of their pages."""

import secrets
from datetime import datetime
from typing import Literal, cast

from pydantic import AwareDatetime
from temporalio import activity

from activities.clock import AttemptClock
from activities.failures import on_record, told_plainly
from activities.matters import MatterApprovals
from activities.playbooks import PlannedPlaybooks
from tellfirst.contract import DecisionAnswer, DecisionEnvelope, continue_id
from tellfirst.domain.base import Frozen
from tellfirst.domain.plan import PlannedStep
from tellfirst.playbooks.promises import whole_seconds
from tellfirst.signing.kinds import Continue
from tellfirst.signing.rules import continue_rule
from tellfirst.store.leases import PageKey
from tellfirst.store.matters import APPROVED, PENDING, Matters
from tellfirst.store.outreaches import Outreaches, RevisionRecord
from tellfirst.store.recipients import Recipients
from tellfirst.store.sends import Sends

NOT_CONTINUED = "not_continued"
RestStatus = Literal["pending", "approved", "rejected", "expired", "cleared", "aborted"]


class RestRequest(Frozen):
    """Asks to open the word about the rest of a revision."""

    outreach: str
    revision: int


class OpenedRest(Frozen):
    """Says how many were told, how many wait, and when to remind, to escalate and to give up."""

    told: int
    rest: int
    opened_at: AwareDatetime
    remind_at: AwareDatetime
    escalate_at: AwareDatetime
    decide_by: AwareDatetime
    status: RestStatus = "pending"


class CloseRestRequest(RestRequest):
    """Asks to record that nobody lets the rest of a revision go any more, and why."""

    status: Literal["rejected", "expired", "cleared", "aborted"]


class ContinueGate:
    """Says whether the rest of a revision may leave, from what was signed alone."""

    def __init__(
        self, *, approvals: MatterApprovals, matters: Matters, recipients: Recipients, playbooks: PlannedPlaybooks
    ) -> None:
        self._approvals, self._matters = approvals, matters
        self._recipients, self._playbooks = recipients, playbooks

    def receive(self, revision: RevisionRecord, envelope: DecisionEnvelope, now: datetime) -> DecisionAnswer:
        """Judges a decision about the rest as it came, keeps it, and answers what became of it."""
        about = continue_id(revision.outreach, revision.number)
        rule = continue_rule(self._playbooks.of(revision), revision.proposal)
        answer = self._approvals.receive(about, envelope.model_dump(mode="json"), rule, now)
        if answer.accepted and answer.status not in (APPROVED, PENDING):
            leave_untold(self._recipients, revision)
        return answer.model_copy(update={"kind": "continue", "revision": revision.number})

    def reject(self, revision: RevisionRecord, *, by: str, now: datetime) -> None:
        """Leaves those untold who still wait when the message itself is rejected."""
        about = continue_id(revision.outreach, revision.number)
        if self._matters.set_status(about, "rejected", at=now, only=(PENDING,), by=by):
            leave_untold(self._recipients, revision)

    def refusal(self, revision: RevisionRecord, page: int, step: PlannedStep, *, now: datetime) -> str:
        """Returns why a page may not leave yet, as a code; empty when it is one of the first, or the rest may go."""
        proposal = revision.proposal
        if not proposal.canary or page < proposal.canary or not step.opens:
            return ""
        about = continue_id(revision.outreach, revision.number)
        matter = self._matters.get(about)
        if matter is None or not isinstance(matter.proposal, Continue):
            return NOT_CONTINUED
        bound, rest = matter.proposal, rest_of(self._recipients, revision)
        if (bound.audience_root, bound.rest) != (proposal.audience_root, rest):
            return f"{NOT_CONTINUED}:stale_content"
        rule = continue_rule(self._playbooks.of(revision), proposal)
        code = self._approvals.holds(matter, rule, now)
        return f"{NOT_CONTINUED}:{code}" if code else ""


class CanaryActivities:
    """Opens and closes the word about the rest."""

    def __init__(
        self,
        *,
        matters: Matters,
        outreaches: Outreaches,
        recipients: Recipients,
        sends: Sends,
        playbooks: PlannedPlaybooks,
        environment: str,
    ) -> None:
        self._matters, self._outreaches, self._recipients = matters, outreaches, recipients
        self._sends, self._playbooks, self._environment = sends, playbooks, environment

    @activity.defn(no_thread_cancel_exception=True)
    def open_rest(self, request: RestRequest) -> OpenedRest:
        """Opens what is to be signed once the first few were told; opened again, it is the same."""
        with told_plainly():
            now = AttemptClock().now()
            revision = on_record(self._outreaches.revision(request.outreach, request.revision))
            plan, approval = revision.plan, self._playbooks.of(revision).approval
            # Whoever is told later reads the same promises: nobody is told once those are being kept.
            latest = min([plan.initial.not_after, *(step.act_at for step in plan.updates if step.act_at is not None)])
            asked = Continue(
                environment=self._environment,
                decide_by=whole_seconds(latest),
                valid_until=revision.proposal.valid_until,
                nonce=secrets.token_hex(16),
                outreach=request.outreach,
                revision=request.revision,
                audience_root=revision.proposal.audience_root,
                sent=self._told(revision),
                rest=rest_of(self._recipients, revision),
            )
            matter = self._matters.open(asked, "", now)
            bound = matter.proposal
            assert isinstance(bound, Continue)  # noqa: S101 - by its name
            at = matter.opened_at
            return OpenedRest(
                told=bound.sent,
                rest=bound.rest,
                opened_at=at,
                remind_at=min(at + approval.remind_after, bound.decide_by),
                escalate_at=min(at + approval.escalate_after, bound.decide_by),
                decide_by=bound.decide_by,
                status=cast("RestStatus", matter.status),
            )

    @activity.defn(no_thread_cancel_exception=True)
    def close_rest(self, request: CloseRestRequest) -> str:
        """Records that the rest stays untold, unless somebody let it go; returns how it stands."""
        with told_plainly():
            about, now = continue_id(request.outreach, request.revision), AttemptClock().now()
            self._matters.set_status(about, request.status, at=now, only=(PENDING,))
            matter = self._matters.get(about)
            status = request.status if matter is None else matter.status
            revision = self._outreaches.revision(request.outreach, request.revision)
            if revision is not None and status != APPROVED:
                leave_untold(self._recipients, revision)
            return status

    def _told(self, revision: RevisionRecord) -> int:
        step = revision.plan.initial.id
        pages = (
            PageKey(outreach=revision.outreach, revision=revision.number, step=step, page=page)
            for page in range(revision.plan.canary)
        )
        return sum(self._sends.tally(revision.outreach, page=page).accepted for page in pages)


def rest_of(recipients: Recipients, revision: RevisionRecord) -> int:
    """Returns how many stand behind the first few."""
    return recipients.rows_on(revision.outreach, revision.number, revision.proposal.canary, revision.plan.page_count)


def leave_untold(recipients: Recipients, revision: RevisionRecord) -> None:
    """Sets those behind the first few aside, as far as none of them was drawn yet."""
    first = revision.proposal.canary
    recipients.let_rest_go(revision.outreach, revision.number, first=first, reason=NOT_CONTINUED)
