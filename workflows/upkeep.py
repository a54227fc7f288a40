"""Upkeep: one durable life per installation, which costs a timer and an activity every quarter of an hour."""

import contextlib
from datetime import timedelta

from pydantic import AwareDatetime
from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, FailureError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.harm import HarmActivities, HarmReport
    from activities.surveys import SurveyActivities, SurveyRequest
    from activities.upkeep import UpkeepActivities, UpkeepRequest
    from tellfirst import contract
    from tellfirst.contract import Pause
    from tellfirst.domain.base import Frozen
    from workflows.options import DATABASE, QUICK, WATCH

EVERY = timedelta(minutes=15)


class UpkeepState(Frozen):
    """Is where the last round ended, and of how many rounds a run is: of a day, and about 1,800 events of history."""

    since: AwareDatetime
    rounds: int = 96


@workflow.defn(name=contract.UPKEEP)
class UpkeepWorkflow:
    """Looks after what nobody else comes back to, round by round."""

    @workflow.run
    async def run(self, state: UpkeepState) -> None:
        """Goes on for ever; a round that fails for hours is made up for by the next one."""
        since = state.since
        for _ in range(state.rounds):
            await workflow.sleep(EVERY)
            await self._watch_harm()
            request = UpkeepRequest(since=since, until=workflow.now())
            try:
                await workflow.execute_activity_method(UpkeepActivities.upkeep, request, **DATABASE)
            except ActivityError:
                workflow.logger.warning("a round of upkeep failed")
            else:
                since = request.until
            await self._begin_surveys()
        workflow.continue_as_new(state.model_copy(update={"since": since}))

    async def _watch_harm(self) -> None:
        """Pauses what does harm; the next look says again what an outreach has not heard."""
        try:
            report: HarmReport = await workflow.execute_activity_method(HarmActivities.watch_harm, **WATCH)
        except ActivityError:
            workflow.logger.warning("a look for harm failed")
            return
        for one in report.harmful:
            pause = Pause(event_id=one.event_id, by="harm watch", note=one.words, harm=True)
            with contextlib.suppress(FailureError):  # it ended meanwhile
                await workflow.get_external_workflow_handle(one.outreach).signal(contract.PAUSE, pause)

    async def _begin_surveys(self) -> None:
        """Lets the surveys of closed outreaches begin; what does not begin now is found again."""
        try:
            found = await workflow.execute_local_activity_method(SurveyActivities.find_surveys, **QUICK)
        except FailureError:
            workflow.logger.warning("a look for surveys failed")
            return
        for outreach in found:
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await workflow.start_child_workflow(
                    contract.SURVEY,
                    SurveyRequest(outreach=outreach),
                    id=contract.survey_id(outreach),
                    task_queue=contract.QUEUE,
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                )
