"""The survey of one closed outreach: whoever is due is drawn and asked, until nobody is left to ask."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.asking import Asked, AskingActivities
    from activities.surveys import Drawn, SurveyActivities, SurveyPageRequest, SurveyRequest
    from tellfirst import contract
    from workflows.options import DATABASE, SEND

HELD, LONGEST_HOLD = timedelta(hours=1), timedelta(hours=6)
"""After how long what is held is looked at again, and in the end no more often."""
AT_LEAST = timedelta(minutes=5)
"""Rounds do not follow each other faster, however close the ends of windows are."""
GIVE_UP_AFTER = timedelta(days=1)
"""How long after a page's end its failures are still followed up."""


@workflow.defn(name=contract.SURVEY)
class SurveyWorkflow:
    """Asks both arms alike; all it remembers is up to when it has drawn."""

    @workflow.run
    async def run(self, request: SurveyRequest) -> None:
        """Ends when everybody who was drawn was asked or is not to be asked any more."""
        held = 0
        while True:
            drawn: Drawn = await workflow.execute_activity_method(SurveyActivities.draw_survey, request, **DATABASE)
            request = request.model_copy(update={"since": drawn.until})
            for page in (page for page in drawn.pages if page.page > request.after):
                # A round may have more pages than a run has room for.
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(request)
                request = _behind(request, page, await self._ask(page))
            held = held + 1 if request.held else 0
            waits = [drawn.next_at, request.next_at]
            if held:
                waits.append(workflow.now() + min(HELD * 2 ** (held - 1), LONGEST_HOLD))
            next_at = min((at for at in waits if at is not None), default=None)
            if next_at is None:
                return
            await workflow.sleep(max(next_at - workflow.now(), AT_LEAST))
            request = SurveyRequest(outreach=request.outreach, since=request.since)
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(request)

    async def _ask(self, page: SurveyPageRequest) -> Asked:
        """Asks those on a page; what fails for a day is as good as held."""
        try:
            return await workflow.execute_activity_method(
                AskingActivities.ask_page, page, task_queue=contract.send_queue(page.channel), **SEND
            )
        except ActivityError:
            workflow.logger.warning("a page of questions failed")
            return Asked(halted="failed" if workflow.now() < page.not_after + GIVE_UP_AFTER else "")


def _behind(request: SurveyRequest, page: SurveyPageRequest, asked: Asked) -> SurveyRequest:
    """Returns where a round stands once a page was asked."""
    if asked.halted:
        return request.model_copy(update={"after": page.page, "held": True})
    ends = [at for at in (request.next_at, asked.next_at) if at is not None]
    return request.model_copy(update={"after": page.page, "next_at": min(ends, default=None)})
