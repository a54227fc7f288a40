"""Exceptions: claim the request and its budgets, judge the grants, and carry out what was granted, once."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.approvals import RegistryFile
from activities.clock import AttemptClock
from activities.failures import later, told_plainly
from activities.matters import MatterApprovals
from activities.playbooks import PlannedPlaybooks
from tellfirst.channels.webhook import Hook
from tellfirst.contract import DecisionAnswer, ExceptionAsked, exception_id
from tellfirst.domain.base import Frozen
from tellfirst.domain.plan import Rung
from tellfirst.errors import SettingsError
from tellfirst.playbooks.answers import render_answer
from tellfirst.playbooks.boundaries import Boundary
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.approval import ApprovalRule
from tellfirst.policy.exceptions import Asked, ExceptionVerdict, grant_rule, judge, over_budget
from tellfirst.signing.audience import content_digest
from tellfirst.signing.kinds import Grant
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.controls import PAUSE_ALL, Controls
from tellfirst.store.decisions import Decisions
from tellfirst.store.exceptions import (
    GRANTED,
    REFUSED,
    AffectedCustomer,
    Budgets,
    ExceptionRecord,
    Exceptions,
    NewException,
    Refusal,
)
from tellfirst.store.matters import Matters
from tellfirst.store.outreaches import Outreaches, RevisionRecord

NO_ANSWER = "none"
"""Stands for the digest of the answer to a customer who has no channel to be answered on."""
HELD = timedelta(seconds=30)


class ExceptionClaim(Frozen):
    """Asks to claim a request; `run` is the workflow's, so that a second workflow is told from a retry."""

    asked: ExceptionAsked
    run: str


class ExceptionClaimed(Frozen):
    """Is a claimed request: refused with a `code`, or what granting it takes, by whom, and until when."""

    code: str = ""
    reason: str = ""
    ask: str = ""
    playbook: str = ""
    reason_code: str = ""
    owner: str = ""
    accountable: str = ""
    roles: tuple[str, ...] = ()
    ladder: tuple[Rung, ...] = ()
    needed: int = 0
    channel: str = ""
    remind_at: AwareDatetime | None = None
    escalate_at: AwareDatetime | None = None
    decide_by: AwareDatetime | None = None


class ReceivedGrant(Frozen):
    """Is a decision about a request as it came in, `raw` being its JSON; None when it was no JSON at all."""

    request: str
    raw: object = None


class ExceptionSettlement(Frozen):
    """Says how a request ended without being carried out."""

    request: str
    status: Literal["rejected", "expired", "withdrawn", "stopped"]
    code: str = ""


class Executed(Frozen):
    """Says whether a grant was carried out: `code` is empty then, else it says why the grant does not hold."""

    code: str = ""


class Granted(Frozen):
    """Is a granted exception with everything that its grant rests on."""

    record: ExceptionRecord
    grant: Grant
    playbook: Playbook
    rule: ApprovalRule


class GrantReader:
    """Reads a request with the grant that was proposed for it and the boundary it stands under."""

    def __init__(
        self, *, exceptions: Exceptions, matters: Matters, outreaches: Outreaches, playbooks: PlannedPlaybooks
    ) -> None:
        self._exceptions, self._matters = exceptions, matters
        self._outreaches, self._playbooks = outreaches, playbooks

    def playbook(self, outreach: str, number: int) -> tuple[RevisionRecord, Playbook] | None:
        """Returns a revision and its playbook, None where there is none or its text was changed."""
        revision = self._outreaches.revision(outreach, number)
        if revision is None or not self._playbooks.is_signed(revision):
            return None
        return revision, self._playbooks.of(revision)

    def read(self, request: str) -> Granted | str:
        """Returns the request, or the code of what is wrong with what the database holds of it."""
        record, matter = self._exceptions.get(request), self._matters.get(exception_id(request))
        if record is None or matter is None or not isinstance(matter.proposal, Grant):
            return "not_ready"
        grant = matter.proposal
        kept = (record.id, record.customer_id, record.kind, record.amount_minor, record.currency, record.requester)
        said = (grant.request, grant.customer, grant.exception, grant.amount_minor, grant.currency, grant.requester)
        if kept != said or record.outreach_id != grant.outreach:
            return "stale_content"
        found = self.playbook(record.outreach_id, record.revision)
        if found is None:
            return "playbook_changed"
        boundary = _boundary(found[1], record.kind)
        rule = None if boundary is None else grant_rule(asked_of(record), boundary)
        return "outside_boundary" if rule is None else Granted(record=record, grant=grant, playbook=found[1], rule=rule)


class ExceptionActivities:
    """Claims, judges and carries out."""

    def __init__(
        self,
        *,
        exceptions: Exceptions,
        matters: Matters,
        decisions: Decisions,
        outreaches: Outreaches,
        contacts: Contacts,
        controls: Controls,
        reader: GrantReader,
        approvals: MatterApprovals,
        registry: RegistryFile,
        environment: str,
        hook: Hook,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._exceptions, self._matters, self._decisions = exceptions, matters, decisions
        self._outreaches, self._contacts, self._controls = outreaches, contacts, controls
        self._reader, self._approvals = reader, approvals
        self._registry, self._environment = registry, environment
        self._hook, self._loop = hook, loop

    @activity.defn
    def claim_exception(self, claim: ExceptionClaim) -> ExceptionClaimed:
        """Claims the row and the budgets of a request, or refuses it and says whom to ask."""
        with told_plainly():
            now, asked = AttemptClock().now(), claim.asked
            found = self._reader.playbook(asked.outreach, self._outreaches.latest_revision(asked.outreach))
            if found is None:
                why = Refusal(code="unknown_outreach", reason="there is no planned outreach of that name", ask="")
                return _refused(self._exceptions.refuse(_new(claim, 0, None, None, now), why), claim)
            revision, playbook = found
            customer = self._exceptions.customer_of(asked.outreach, asked.customer)
            boundary = _boundary(playbook, asked.kind)
            verdict = self._verdict(asked, playbook, boundary)
            new = _new(claim, revision.number, customer, boundary, now)
            if customer is None:
                ask = playbook.owners.accountable
                why = Refusal(code="not_affected", reason="the outreach does not affect this customer", ask=ask)
                return _refused(self._exceptions.refuse(new, why), claim)
            # In both arms alike: a customer who asks for more has made contact.
            contact = Contact(
                id=exception_id(asked.request),
                customer=asked.customer,
                reason_code=playbook.reason_code,
                occurred_at=now,
                channel="exception",
            )
            self._contacts.save([contact], source="exceptions", through=None, now=now)
            if verdict.kind == "refused" or boundary is None:
                return _refused(self._exceptions.refuse(new, _refusal(verdict)), claim)
            record = self._exceptions.claim(new, _budgets(boundary, playbook))
            if record.first_run != claim.run or record.status == REFUSED:
                return _refused(record, claim)
            grant = self._grant(record, playbook, boundary)
            self._matters.open(grant, record.requester, now)
            return ExceptionClaimed(
                playbook=playbook.id,
                reason_code=playbook.reason_code,
                owner=playbook.owners.owner,
                accountable=playbook.owners.accountable,
                roles=verdict.roles,
                ladder=playbook.rungs,
                needed=verdict.needed,
                channel=record.channel,
                remind_at=record.opened_at + boundary.remind_after,
                escalate_at=record.opened_at + boundary.escalate_after,
                decide_by=grant.decide_by,
            )

    @activity.defn
    def receive_grant(self, received: ReceivedGrant) -> DecisionAnswer:
        """Answers whether a decision about a request was accepted, and consumes the budget once it is granted."""
        with told_plainly():
            now, about = AttemptClock().now(), exception_id(received.request)
            granted = self._reader.read(received.request)
            if isinstance(granted, str):
                nobody = ApprovalRule(roles=())
                answer = self._approvals.receive(about, received.raw, nobody, now)
                return answer.model_copy(update={"code": granted}) if answer.code == "not_an_approver" else answer
            answer = self._approvals.receive(about, received.raw, granted.rule, now)
            if answer.accepted and answer.status == "approved":
                self._exceptions.grant(received.request, at=now)
            return answer

    @activity.defn
    def settle_exception(self, settlement: ExceptionSettlement) -> None:
        """Records that a request was not carried out, and releases what it had reserved."""
        with told_plainly():
            now, request = AttemptClock().now(), settlement.request
            if settlement.status == "stopped":
                self._exceptions.close(request, "stopped", at=now, code=settlement.code)
            else:
                self._exceptions.release(request, settlement.status, at=now)
            still = ("pending", "approved")
            self._matters.set_status(exception_id(request), settlement.status, at=now, only=still)

    @activity.defn
    def execute_exception(self, request: str) -> Executed:
        """Has another system carry out a grant that holds now; fails, to be tried again, until it acknowledges."""
        with told_plainly():
            now = AttemptClock().now()
            granted = self._reader.read(request)
            if isinstance(granted, str):
                return Executed(code=granted)
            if granted.record.status == "executed":
                return Executed()  # a worker died after the acknowledgement was recorded
            if granted.record.status != GRANTED:
                return Executed(code="not_approved")
            # Again, from what was signed: a key revoked meanwhile stops it.
            if code := self._approvals.holds(exception_id(request), granted.rule, now):
                return Executed(code=code)
            if now >= granted.grant.valid_until:
                return Executed(code="expired")
            if any(control.name == PAUSE_ALL for control in self._controls.on()):
                raise later("Paused", "everything is paused", HELD)
            delivery = asyncio.run_coroutine_threadsafe(
                self._hook.deliver(request, self._order(granted), now=now), self._loop
            ).result()
            if not delivery.acknowledged:
                wait = None if delivery.retry_after is None else timedelta(seconds=delivery.retry_after)
                told = f"the grant was not acknowledged ({delivery.detail})"
                raise ApplicationError(told, type="NotAcknowledged", next_retry_delay=wait)
            self._exceptions.close(request, "executed", at=AttemptClock().now())
            return Executed()

    def _verdict(self, asked: ExceptionAsked, playbook: Playbook, boundary: Boundary | None) -> ExceptionVerdict:
        try:
            people = {person.principal: person.roles for person in self._registry.current().people}
        except SettingsError as error:
            raise ApplicationError(str(error), type="Registry") from None
        wanted = Asked(
            kind=asked.kind, amount_minor=asked.amount_minor, currency=asked.currency, requester=asked.requester
        )
        return judge(wanted, boundary, people, accountable=playbook.owners.accountable)

    def _grant(self, record: ExceptionRecord, playbook: Playbook, boundary: Boundary) -> Grant:
        answer = NO_ANSWER
        if record.channel:
            text = render_answer(
                playbook,
                record.kind,
                record.channel,  # type: ignore[arg-type]
                record.locale,
                amount_minor=record.amount_minor,
                reference=record.id,
            )
            answer = content_digest(text)
        return Grant(
            environment=self._environment,
            decide_by=record.decide_by,
            valid_until=record.opened_at + boundary.holds,
            nonce=secrets.token_hex(16),
            request=record.id,
            outreach=record.outreach_id,
            customer=record.customer_id,
            exception=record.kind,
            amount_minor=record.amount_minor,
            currency=record.currency,
            answer_digest=answer,
            requester=record.requester,
        )

    def _order(self, granted: Granted) -> bytes:
        """Returns what is posted: the same bytes at every attempt."""
        record, approvals = granted.record, self._decisions.approvals(exception_id(granted.record.id))
        order = {
            "type": "exception.granted",
            "timestamp": record.opened_at.isoformat(),
            "data": {
                "request": record.id,
                "outreach": record.outreach_id,
                "customer": record.customer_id,
                "kind": record.kind,
                "amount_minor": granted.grant.amount_minor,
                "currency": granted.grant.currency,
                "ticket": record.ticket,
                "granted_by": _names([approval.approver for approval in approvals]),
            },
        }
        return json.dumps(order, sort_keys=True, separators=(",", ":")).encode()


def asked_of(record: ExceptionRecord) -> Asked:
    """Returns what was asked for, as the policy judges it."""
    return Asked(
        kind=record.kind, amount_minor=record.amount_minor, currency=record.currency, requester=record.requester
    )


def _boundary(playbook: Playbook, kind: str) -> Boundary | None:
    return next((boundary for name, boundary in playbook.exceptions.items() if name == kind), None)


def _new(
    claim: ExceptionClaim, revision: int, customer: AffectedCustomer | None, boundary: Boundary | None, now: datetime
) -> NewException:
    asked = claim.asked
    return NewException(
        id=asked.request,
        first_run=claim.run,
        outreach_id=asked.outreach,
        revision=revision,
        recipient_id=customer.recipient_id if customer else None,
        customer_id=asked.customer,
        kind=asked.kind,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        requester=asked.requester,
        ticket=asked.ticket,
        channel=customer.channel if customer else "",
        locale=customer.locale if customer else "",
        opened_at=now,
        decide_by=(now + boundary.expires_after if boundary else now).replace(microsecond=0),
    )


def _budgets(boundary: Boundary, playbook: Playbook) -> Budgets:
    ask = playbook.owners.accountable
    return Budgets(
        per_customer=boundary.per_customer,
        per_outreach=boundary.per_outreach,
        customer_spent=_refusal(over_budget("customer", ask)),
        outreach_spent=_refusal(over_budget("outreach", ask)),
    )


def _refusal(verdict: ExceptionVerdict) -> Refusal:
    return Refusal(code=verdict.code, reason=verdict.reason, ask=verdict.ask)


def _refused(record: ExceptionRecord, claim: ExceptionClaim) -> ExceptionClaimed:
    if record.first_run != claim.run:
        return ExceptionClaimed(code="duplicate", reason="another request has this id")
    return ExceptionClaimed(code=record.code or record.status, reason=record.reason, ask=record.ask)


def _names(approvers: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(approvers))
