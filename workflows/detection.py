"""Detection: one scheduled sweep, then an outreach for each condition without one, and a word to those it changed."""

import contextlib

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.detection import DetectionActivities, SweepAnswer, SweepRequest
    from tellfirst import contract
    from tellfirst.contract import Event
    from workflows.options import DATABASE


@workflow.defn(name=contract.DETECTION)
class DetectionWorkflow:
    """Sweeps one trigger and starts what is new; whatever fails to start is found again by the next sweep."""

    @workflow.run
    async def run(self, request: SweepRequest) -> int:
        """Returns how many outreaches were started."""
        answer: SweepAnswer = await workflow.execute_activity_method(DetectionActivities.sweep, request, **DATABASE)
        started = 0
        for condition in answer.conditions:
            try:
                await workflow.start_child_workflow(
                    contract.OUTREACH,
                    condition,
                    id=contract.outreach_id(condition.trigger, condition.key, condition.episode),
                    task_queue=contract.QUEUE,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    search_attributes=contract.starting_attributes(condition),
                )
                started += 1
            except WorkflowAlreadyStartedError:
                continue
        for outreach in answer.changed:
            event = Event(event_id=f"sweep:{answer.at.isoformat()}")
            with contextlib.suppress(ApplicationError):  # it ended meanwhile
                await workflow.get_external_workflow_handle(outreach).signal(contract.CONDITION_CHANGED, event)
        return started
