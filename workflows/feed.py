"""The feed: one durable life per system that is told what happens, as long as it is to be told."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.escalations import NoticeRequest
    from activities.feed import FeedActivities, FeedReport, FeedRequest
    from tellfirst import contract
    from workflows.ladder import notify
    from workflows.options import FEED

SHIFTS = 100
"""Activities of one run: about 600 events of history, or 17 hours."""


@workflow.defn(name=contract.FEED)
class FeedWorkflow:
    """Tells one system what happens, shift by shift, and people what it would not take."""

    @workflow.run
    async def run(self, request: FeedRequest) -> None:
        """Ends when the system is no longer to be told."""
        for _ in range(SHIFTS):
            report: FeedReport = await workflow.execute_activity_method(
                FeedActivities.tell_events, request, task_queue=contract.FEED_QUEUE, **FEED
            )
            if report.gone:
                return
            if report.parked is not None and report.parked != request.told:
                await notify(_notice(request.endpoint, report))
            request = request.model_copy(update={"told": report.parked})
        workflow.continue_as_new(request)


def _notice(endpoint: str, report: FeedReport) -> NoticeRequest:
    about = contract.feed_id(endpoint)
    return NoticeRequest(
        id=f"{about}:parked:{report.parked:%Y%m%dT%H%M%S.%fZ}",
        outreach=about,
        kind="events_parked",
        to=("operations",),
        text=f"'{endpoint}' has not taken events for days; they are parked, and the others go on",
    )
