"""The claim of an exception: its row, its budgets, and the grant that people are asked to sign."""

import secrets
from datetime import datetime
from typing import cast

from pydantic import AwareDatetime
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.approvals import RegistryFile
from activities.clock import AttemptClock
from activities.exception_grants import NO_ANSWER, GrantReader, asked_of, boundary_of
from activities.failures import told_plainly
from tellfirst.contract import ExceptionAsked, exception_id
from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel
from tellfirst.domain.plan import Rung
from tellfirst.errors import SettingsError
from tellfirst.playbooks.answers import render_answer
from tellfirst.playbooks.boundaries import Boundary
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.exceptions import Asked, ExceptionVerdict, grant_rule, judge, over_budget
from tellfirst.signing.audience import content_digest
from tellfirst.signing.kinds import Grant
from tellfirst.store.contacts import EXCEPTIONS, Contact, Contacts
from tellfirst.store.exceptions import (
    REFUSED,
    AffectedCustomer,
    Budgets,
    ExceptionRecord,
    Exceptions,
    NewException,
    Refusal,
)
from tellfirst.store.matters import Matters
from tellfirst.store.outreaches import Outreaches


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


class ExceptionClaims:
    """Claims requests; refuses them all unless `carried_out`: their customers would be told of what nobody does."""

    def __init__(
        self,
        *,
        exceptions: Exceptions,
        matters: Matters,
        outreaches: Outreaches,
        contacts: Contacts,
        reader: GrantReader,
        registry: RegistryFile,
        environment: str,
        carried_out: bool,
    ) -> None:
        self._exceptions, self._matters = exceptions, matters
        self._outreaches, self._contacts = outreaches, contacts
        self._reader, self._registry, self._environment = reader, registry, environment
        self._carried_out = carried_out

    @activity.defn(no_thread_cancel_exception=True)
    def claim_exception(self, claim: ExceptionClaim) -> ExceptionClaimed:
        """Claims the row and the budgets of a request, or refuses it and says whom to ask."""
        with told_plainly():
            now = AttemptClock().now()
            # An attempt that was cut off may have claimed it: what it kept then counts, not what is found now.
            record = self._put(claim, now)
            if record.first_run != claim.run:
                return ExceptionClaimed(code="duplicate", reason="another request has this id")
            if record.status == REFUSED:
                return ExceptionClaimed(code=record.code, reason=record.reason, ask=record.ask)
            return self._open(record, now)

    def _put(self, claim: ExceptionClaim, now: datetime) -> ExceptionRecord:
        """Keeps the request, refused or with its budgets reserved; one that is kept already stays as it is."""
        asked = claim.asked
        found = self._reader.playbook(asked.outreach, self._outreaches.latest_revision(asked.outreach))
        if found is None:
            why = Refusal(code="unknown_outreach", reason="there is no planned outreach of that name", ask="")
            return self._exceptions.refuse(_new(claim, 0, None, None, now), why)
        revision, playbook = found
        customer, boundary = (
            self._exceptions.customer_of(asked.outreach, asked.customer),
            boundary_of(playbook, asked.kind),
        )
        new, ask = _new(claim, revision.number, customer, boundary, now), playbook.owners.accountable
        if customer is None:
            why = Refusal(code="not_affected", reason="the outreach does not affect this customer", ask=ask)
            return self._exceptions.refuse(new, why)
        # In both arms alike: a customer who asks for more has made contact.
        contact = Contact(
            id=exception_id(asked.request),
            customer=asked.customer,
            reason_code=playbook.reason_code,
            occurred_at=now,
            channel="exception",
        )
        self._contacts.save([contact], source=EXCEPTIONS, through=None, now=now)
        if not self._carried_out:
            why = Refusal(code="nothing_carries_it_out", reason="no system is named that carries out grants", ask=ask)
            return self._exceptions.refuse(new, why)
        if code := self._reader.refusal(revision, playbook, now=now):
            why = Refusal(code=code, reason="nothing is granted under a playbook that may not send here", ask=ask)
            return self._exceptions.refuse(new, why)
        verdict = self._verdict(asked, playbook, boundary)
        if verdict.kind == "refused" or boundary is None:
            return self._exceptions.refuse(new, _refusal(verdict))
        _answer(playbook, new)  # before anything is reserved: a text that cannot be made fails here
        return self._exceptions.claim(new, _budgets(boundary, playbook))

    def _open(self, record: ExceptionRecord, now: datetime) -> ExceptionClaimed:
        """Opens the matter that people decide, from what was kept of the request."""
        found = self._reader.playbook(record.outreach_id, record.revision)
        boundary = None if found is None else boundary_of(found[1], record.kind)
        rule = None if boundary is None else grant_rule(asked_of(record), boundary)
        if found is None or boundary is None or rule is None:
            return ExceptionClaimed(code="playbook_changed", reason="it is no longer the playbook it was")
        playbook = found[1]
        grant = Grant(
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
            answer_digest=_answer(playbook, record),
            requester=record.requester,
            ticket=record.ticket,
        )
        self._matters.open(grant, record.requester, now)
        return ExceptionClaimed(
            playbook=playbook.id,
            reason_code=playbook.reason_code,
            owner=playbook.owners.owner,
            accountable=playbook.owners.accountable,
            roles=rule.roles,
            ladder=playbook.rungs,
            needed=rule.needed,
            channel=record.channel,
            remind_at=record.opened_at + boundary.remind_after,
            escalate_at=record.opened_at + boundary.escalate_after,
            decide_by=grant.decide_by,
        )

    def _verdict(self, asked: ExceptionAsked, playbook: Playbook, boundary: Boundary | None) -> ExceptionVerdict:
        try:
            people = {person.principal: person.roles for person in self._registry.current().people}
        except SettingsError as error:
            raise ApplicationError(str(error), type="Registry") from None
        wanted = Asked(
            kind=asked.kind, amount_minor=asked.amount_minor, currency=asked.currency, requester=asked.requester
        )
        return judge(wanted, boundary, people, accountable=playbook.owners.accountable)


def _answer(playbook: Playbook, request: NewException) -> str:
    """Returns the digest of the very answer that a granted request gets."""
    if not request.channel:
        return NO_ANSWER
    text = render_answer(
        playbook,
        request.kind,
        cast("Channel", request.channel),
        request.locale,
        amount_minor=request.amount_minor,
        reference=request.id,
    )
    return content_digest(text)


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
