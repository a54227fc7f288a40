"""Exceptions: judge the grants, settle what nobody granted, and carry out what was granted, once."""

import asyncio
import json
from datetime import timedelta
from typing import Literal

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.clock import AttemptClock
from activities.exception_grants import Granted, GrantReader
from activities.failures import later, told_plainly
from activities.matters import MatterApprovals
from tellfirst.channels.webhook import Hook
from tellfirst.contract import DecisionAnswer, exception_id
from tellfirst.domain.base import Frozen
from tellfirst.policy.approval import ApprovalRule
from tellfirst.store.controls import PAUSE_ALL, Controls
from tellfirst.store.exceptions import EXECUTED, GRANTED, PENDING, Exceptions
from tellfirst.store.matters import Matters

HELD = timedelta(seconds=30)


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


class ExceptionActivities:
    """Judges, settles and carries out."""

    def __init__(
        self,
        *,
        exceptions: Exceptions,
        matters: Matters,
        controls: Controls,
        reader: GrantReader,
        approvals: MatterApprovals,
        hook: Hook,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._exceptions, self._matters, self._controls = exceptions, matters, controls
        self._reader, self._approvals = reader, approvals
        self._hook, self._loop = hook, loop

    @activity.defn(no_thread_cancel_exception=True)
    def receive_grant(self, received: ReceivedGrant) -> DecisionAnswer:
        """Answers whether a decision about a request was accepted, and consumes the budget once it is granted."""
        with told_plainly():
            now, about = AttemptClock().now(), exception_id(received.request)
            granted = self._reader.read(received.request, now=now)
            if isinstance(granted, str):
                nobody = ApprovalRule(roles=())
                answer = self._approvals.receive(about, received.raw, nobody, now)
                if answer.code != "not_an_approver":
                    return answer
                return answer.model_copy(update={"code": granted, "message": _undecidable(granted)})
            status = granted.record.status
            over = "" if status in (PENDING, GRANTED, EXECUTED) else f"the request is {status}"
            answer = self._approvals.receive(about, received.raw, granted.rule, now, overtaken=over)
            if answer.accepted and answer.status == "approved":
                self._exceptions.grant(received.request, at=now)
            return answer

    @activity.defn(no_thread_cancel_exception=True)
    def settle_exception(self, settlement: ExceptionSettlement) -> str:
        """Records that a request was not carried out, releases what it had reserved, and returns how it stands.

        One that was granted at the same moment stays so.
        """
        with told_plainly():
            now, request, status = AttemptClock().now(), settlement.request, settlement.status
            if status == "stopped" and self._exceptions.close(request, "stopped", at=now, code=settlement.code):
                pass
            elif not self._exceptions.release(request, "expired" if status == "stopped" else status, at=now):
                record = self._exceptions.get(request)
                if record is not None and record.status == GRANTED:
                    return GRANTED
            self._matters.set_status(exception_id(request), status, at=now, only=("pending", "approved"))
            return status

    @activity.defn(no_thread_cancel_exception=True)
    def execute_exception(self, request: str) -> Executed:
        """Has another system carry out a grant that holds now; fails, to be tried again, until it acknowledges."""
        with told_plainly():
            now = AttemptClock().now()
            granted = self._reader.read(request, now=now)
            if isinstance(granted, str):
                return Executed(code=granted)
            if granted.record.status == EXECUTED:
                return Executed()  # a worker died after the acknowledgement was recorded
            if granted.record.status != GRANTED:
                return Executed(code="not_approved")
            # Again, from what was signed: a key revoked meanwhile stops it.
            if code := self._approvals.holds(granted.matter, granted.rule, now):
                if code == "no_registry":  # it is being deployed, say: the grant is as good as it was
                    raise later("Registry", "the registry of approvers cannot be read", HELD)
                return Executed(code=code)
            if now >= granted.grant.valid_until:
                return Executed(code="expired")
            if any(control.name == PAUSE_ALL for control in self._controls.on()):
                raise later("Paused", "everything is paused", HELD)
            delivery = asyncio.run_coroutine_threadsafe(
                self._hook.deliver(request, _order(granted), now=now), self._loop
            ).result()
            if not delivery.acknowledged:
                wait = None if delivery.retry_after is None else timedelta(seconds=delivery.retry_after)
                told = f"the grant was not acknowledged ({delivery.detail})"
                raise ApplicationError(told, type="NotAcknowledged", next_retry_delay=wait)
            self._exceptions.close(request, "executed", at=AttemptClock().now())
            return Executed()


def _order(granted: Granted) -> bytes:
    """Returns what is posted: what was signed, and the same bytes at every attempt, whoever granted it in the end."""
    record, grant = granted.record, granted.grant
    order = {
        "type": "exception.granted",
        "timestamp": record.opened_at.isoformat(),
        "data": {
            "request": grant.request,
            "outreach": grant.outreach,
            "customer": grant.customer,
            "kind": grant.exception,
            "amount_minor": grant.amount_minor,
            "currency": grant.currency,
            "ticket": grant.ticket,
        },
    }
    return json.dumps(order, sort_keys=True, separators=(",", ":")).encode()


def _undecidable(code: str) -> str:
    if code.startswith("playbook_not_live"):
        return "its playbook's version is not live any more, so nothing is decided by it; `tellfirst playbooks history`"
    return "what is kept of the request is not what was asked for, so nothing is decided about it; ask for it anew"
