"""The client other services use: start an outreach, decide on it, tell it what happened, look at it.

It adds nothing to the contract: whatever it does, a stock Temporal client does with the names of `contract`.
"""

import asyncio
import contextlib
import hashlib
from datetime import timedelta
from typing import Any, Literal
from uuid import uuid4

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from tellfirst import contract
from tellfirst.contract import (
    Acknowledgement,
    DecisionAnswer,
    DecisionEnvelope,
    Draft,
    DraftAnswer,
    Escalate,
    Event,
    ExceptionAsked,
    LibraryProposal,
    Pause,
    PermitProposal,
    View,
)
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Condition, personal_pattern
from tellfirst.errors import ConditionError, NotFoundError, RefusedError, UnreachableError

ANSWER_WITHIN = timedelta(seconds=15)
Happening = Literal["condition_changed", "condition_cleared", "abort"]


class Started(Frozen):
    """Names the outreach of a condition, and says whether it ended before this start was asked for."""

    outreach: str
    ended_before: bool = False


class OutreachClient:
    """Speaks to outreaches through a connected Temporal client that uses `contract.DATA_CONVERTER`."""

    def __init__(self, temporal: Client) -> None:
        self._temporal = temporal

    async def start(self, condition: Condition) -> Started:
        """Starts the outreach of a condition; asked again, also at the same time, there is still only one.

        Raises ConditionError for a key that looks like an address, UnreachableError when the server does not answer.
        """
        id_ = refuse_addresses(condition)
        try:
            await self._start(
                contract.OUTREACH,
                condition,
                name=id_,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=contract.starting_attributes(condition),
            )
        except WorkflowAlreadyStartedError:
            return Started(outreach=id_, ended_before=True)
        return Started(outreach=id_)

    async def restart(self, condition: Condition, *, replace: bool = False) -> bool:
        """Starts anew the outreach of a condition whose workflow is gone, and returns whether it did.

        One that runs is left alone, or with `replace` is terminated first.
        """
        ends = WorkflowIDConflictPolicy.TERMINATE_EXISTING if replace else WorkflowIDConflictPolicy.FAIL
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await self._start(
                contract.OUTREACH,
                condition,
                name=contract.outreach_id(condition.trigger, condition.key, condition.episode),
                id_conflict_policy=ends,
                search_attributes=contract.starting_attributes(condition),
            )
            return True
        return False

    async def terminate(self, outreach: str, reason: str) -> None:
        """Ends the workflow of an outreach where it stands, if one runs; raises UnreachableError."""
        try:
            await self._handle(outreach).terminate(reason)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise _told(error, outreach) from None

    async def running(self) -> set[str]:
        """Returns the names of all outreaches whose workflow runs; one that has just begun may be missing."""
        query = f"WorkflowType='{contract.OUTREACH}' AND ExecutionStatus='Running'"
        return {execution.id async for execution in self._temporal.list_workflows(query)}

    async def propose(self, proposal: LibraryProposal, change: str) -> None:
        """Proposes a playbook's version under the name of its change, `contract.library_id`.

        Proposed again, it waits on where it stood; only what the library has overtaken is proposed anew.
        """
        again = WorkflowIDConflictPolicy.TERMINATE_EXISTING
        await self._start(contract.LIBRARY_CHANGE, proposal, name=change, id_conflict_policy=again)

    async def resume_all(self, pause: str) -> str:
        """Asks that the pause of everything of this id ends, and returns the workflow that waits for two signatures.

        Asked again, it is still one. Raises UnreachableError when the server does not answer.
        """
        id_ = contract.resume_id(pause)
        await self._start(contract.RESUME, name=id_)
        return id_

    async def propose_permit(self, proposal: PermitProposal, permit: str) -> None:
        """Proposes a standing permit under its name, `contract.permit_id`; proposed again, it is still one."""
        await self._start(contract.PERMIT, proposal, name=permit)

    async def _start(self, workflow: str, *argument: object, name: str, **how: Any) -> None:
        how = {"id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING, **how}
        for wait in (0.1, 0.5, None):
            try:
                await self._temporal.start_workflow(workflow, *argument, id=name, task_queue=contract.QUEUE, **how)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise _told(error, name) from None
                if wait is None:
                    raise UnreachableError(
                        "the Temporal server does not know where to start this",
                        where=name,
                        remedy="check TEMPORAL_NAMESPACE and try again",
                    ) from None
            except RuntimeError:
                raise _away(name) from None
            else:
                return
            # Nothing but the namespace has to be there for a start, and yet a server under load may say so once.
            await asyncio.sleep(wait)

    async def ended(self, matter: str) -> str:
        """Returns how the workflow of a matter ended, empty while it runs."""
        try:
            described = await self._handle(matter).describe()
        except RPCError as error:
            raise _told(error, matter) from None
        if described.status is not WorkflowExecutionStatus.COMPLETED:
            return ""
        return str(await self._temporal.get_workflow_handle(matter, result_type=str).result())

    async def ask(self, asked: ExceptionAsked) -> str:
        """Puts a request for an exception and returns its workflow's id; put again, it is still one.

        Raises RefusedError for an id that was used before, UnreachableError when the server does not answer.
        """
        id_ = contract.exception_id(asked.request)
        try:
            await self._start(
                contract.EXCEPTION, asked, name=id_, id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE
            )
        except WorkflowAlreadyStartedError:
            raise RefusedError("a request of this id has ended already", where=id_, remedy="give another id") from None
        return id_

    async def submit(self, outreach: str, envelope: DecisionEnvelope) -> DecisionAnswer:
        """Submits a signed decision and returns what became of it.

        The same envelope submitted again, after a time-out say, is one submission. Raises UnreachableError when no
        worker answers in time: the decision may still be applied.
        """
        update_id = f"decision-{hash_of(envelope)}"
        try:
            answer: DecisionAnswer = await self._handle(outreach).execute_update(
                contract.SUBMIT_DECISION,
                envelope,
                id=update_id,
                result_type=DecisionAnswer,
                rpc_timeout=ANSWER_WITHIN,
            )
            return answer
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            _let_be_cancelled(error)
            raise UnreachableError(
                "the decision is not confirmed: no worker answered, and it may still be applied",
                where=outreach,
                remedy="run the same command again; it counts once",
            ) from None
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            code = (cause.type or "refused") if isinstance(cause, ApplicationError) else "refused"
            return DecisionAnswer(accepted=False, code=code, message=str(cause))
        except RPCError as error:
            raise _told(error, outreach) from None

    async def draft(self, outreach: str, draft: Draft) -> DraftAnswer:
        """Drafts a correction or a free update and returns what became of it; one that was taken counts once.

        Raises UnreachableError when no worker answers in time: it may still be drafted.
        """
        try:
            answer: DraftAnswer = await self._handle(outreach).execute_update(
                contract.DRAFT,
                draft,
                result_type=DraftAnswer,
                rpc_timeout=ANSWER_WITHIN,
            )
            return answer
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            _let_be_cancelled(error)
            raise UnreachableError(
                "the draft is not confirmed: no worker answered, and it may still be taken",
                where=outreach,
                remedy="run the same command again; it counts once",
            ) from None
        except WorkflowUpdateFailedError as error:
            return DraftAnswer(accepted=False, code="refused", message=str(error.cause))
        except RPCError as error:
            raise _told(error, outreach) from None

    async def decide(self, outreach: str, envelope: DecisionEnvelope) -> None:
        """Leaves a signed decision as a signal: durable at once, judged when a worker is there."""
        await self._signal(outreach, contract.DECIDE, envelope)

    async def tell(self, outreach: str, what: Happening, *, event_id: str = "", by: str = "", note: str = "") -> None:
        """Tells an outreach that something happened; the same `event_id` counts once."""
        await self._signal(outreach, what, Event(event_id=event_id or str(uuid4()), by=by, note=note))

    async def pause(self, outreach: str, *, paused: bool, event_id: str = "", by: str = "") -> None:
        """Holds an outreach, or lets it go on."""
        await self._signal(outreach, contract.PAUSE, Pause(event_id=event_id or str(uuid4()), by=by, paused=paused))

    async def escalate(
        self, outreach: str, kind: Literal["negative_reply", "raised"], *, note: str, event_id: str = "", by: str = ""
    ) -> None:
        """Says that an outreach needs a person; `note` tells why, without personal data."""
        event = Escalate(event_id=event_id or str(uuid4()), by=by, note=note, kind=kind)
        await self._signal(outreach, contract.ESCALATE, event)

    async def tell_people(self, notice: str) -> None:
        """Has a notice that is kept delivered, until it is or a day has passed; asked again, it is still one."""
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await self._start(
                contract.NOTICE,
                notice,
                name=f"notice/{notice}",
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )

    async def acknowledge(self, about: str, *, by: str, done: bool = False, event_id: str = "") -> None:
        """Says that somebody is on it, or that it is settled; `about` may name any workflow that waits for people."""
        event = Acknowledgement(event_id=event_id or str(uuid4()), by=by, done=done)
        await self._signal(about, contract.ESCALATION_ACKNOWLEDGED, event)

    async def view(self, outreach: str) -> View:
        """Returns how an outreach stands; needs a worker."""
        try:
            view: View = await self._handle(outreach).query(contract.VIEW, result_type=View, rpc_timeout=ANSWER_WITHIN)
            return view
        except RPCError as error:
            raise _told(error, outreach) from None

    async def _signal(self, outreach: str, name: str, message: Frozen) -> None:
        try:
            await self._handle(outreach).signal(name, message)
        except RPCError as error:
            raise _told(error, outreach) from None
        except RuntimeError:
            raise _away(outreach) from None

    def _handle(self, outreach: str) -> WorkflowHandle[Any, Any]:
        return self._temporal.get_workflow_handle(outreach)


def refuse_addresses(condition: Condition) -> str:
    """Returns the workflow id of a condition; raises ConditionError where its key or a reference looks like an address.

    Both stand in plain text in ids, histories and logs.
    """
    id_ = contract.outreach_id(condition.trigger, condition.key, condition.episode)
    if kind := personal_pattern(id_):
        raise ConditionError(
            f"the condition key looks like {kind}",
            where="key",
            remedy="use an opaque key: it stands in plain text in ids, histories and logs",
        )
    if any(personal_pattern(subject.key) or personal_pattern(subject.customer) for subject in condition.subjects):
        raise ConditionError(
            "a subject or customer reference looks like an address",
            where="subjects",
            remedy="use the opaque ids of your own systems",
        )
    return id_


def hash_of(envelope: DecisionEnvelope) -> str:
    """Returns a short name for this very envelope."""
    return hashlib.sha256(envelope.model_dump_json().encode()).hexdigest()[:16]


def _let_be_cancelled(error: WorkflowUpdateRPCTimeoutOrCancelledError) -> None:
    """Raises CancelledError where it was the caller who gave up: the SDK says the same of a server that is silent."""
    if isinstance(error.__cause__, asyncio.CancelledError):
        raise error.__cause__


def _told(error: RPCError, where: str) -> Exception:
    if error.status is RPCStatusCode.NOT_FOUND:
        return NotFoundError("there is no running outreach of that name", where=where, remedy="see `tellfirst pending`")
    return UnreachableError(
        f"the Temporal server did not answer ({error.status.name.lower()})",
        where=where,
        remedy="check TEMPORAL_ADDRESS and that the server runs",
    )


def _away(where: str) -> Exception:
    """Returns what a client that connects when it is first used makes of a server that is not there."""
    return UnreachableError("the Temporal server cannot be reached", where=where, remedy="check TEMPORAL_ADDRESS")
