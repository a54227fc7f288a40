"""The inbox of a request for an exception: the signed decisions that reach it, judged one after the other."""

from collections import deque

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.exceptions import ExceptionActivities, ReceivedGrant
    from tellfirst import contract
    from tellfirst.contract import DecisionAnswer, DecisionEnvelope
    from workflows.mailbox import MALFORMED, NOTHING, read_json
    from workflows.options import QUICK
    from workflows.waiting import until

PENDING = "pending"
STATUS = {"approve": "approved", "reject": "rejected", "request_changes": "rejected"}


class GrantInbox:
    """Takes decisions in and applies them to the status of the request."""

    def __init__(self) -> None:
        self._id = workflow.info().workflow_id
        self._request = self._id.partition("/")[2]
        self._status = "claiming"
        self._executing = False
        self._waiting: deque[tuple[int, object]] = deque()
        self._answers: dict[int, DecisionAnswer] = {}
        self._received = self._refused = 0
        self._busy = False

    @workflow.update(name=contract.SUBMIT_DECISION)
    async def submit_decision(self, raw: RawValue = NOTHING) -> DecisionAnswer:
        """Takes a signed decision and answers once it is judged and recorded."""
        number = self._put(raw)
        await until(lambda: number in self._answers)
        return self._answers.pop(number)

    @submit_decision.validator
    def _can_be_parsed(self, raw: RawValue = NOTHING) -> None:
        try:
            DecisionEnvelope.model_validate(read_json(raw))
        except ValidationError:
            raise ApplicationError("the message is not a signed decision", type="malformed") from None

    @workflow.signal(name=contract.DECIDE)
    async def decide(self, raw: RawValue = NOTHING) -> None:
        """Takes a signed decision, also while no worker is alive."""
        self._put(raw)

    def _put(self, raw: RawValue) -> int:
        self._received += 1
        self._waiting.append((self._received, read_json(raw)))
        return self._received

    # -- the attendant

    async def attend(self) -> None:
        """Judges decisions in the order they came, for as long as the request runs."""
        while True:
            await until(lambda: bool(self._waiting) and self._status != "claiming")
            self._busy = True
            number, content = self._waiting.popleft()
            received = ReceivedGrant(request=self._request, raw=None if content is MALFORMED else content)
            try:
                answer = await workflow.execute_local_activity_method(
                    ExceptionActivities.receive_grant, received, **QUICK
                )
            except FailureError:
                message = "it could not be recorded; try again"
                answer = DecisionAnswer(accepted=False, code="not_recorded", message=message)
            if not answer.accepted:
                self._refused += 1
            elif answer.status != PENDING and not self._executing:
                self._status = STATUS.get(answer.decision, self._status)
            self._answers[number] = answer
            self._busy = False

    async def settle_messages(self) -> None:
        """Waits until every decision that came in is judged and answered."""
        self._status = "unclaimed" if self._status == "claiming" else self._status
        await until(lambda: not self._waiting and not self._busy and workflow.all_handlers_finished())
