"""Sending one step: pages in flight, halts, and the reconciliation of what stayed in doubt."""

import asyncio
from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, RetryState, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.dispatch import CALLED_BACK, DispatchActivities
    from activities.pages import PageReport, PageRequest
    from activities.reconciliation import ReconcileRequest, ReconciliationActivities
    from tellfirst import contract
    from workflows.options import DATABASE, SEND
    from workflows.state import RETRY, Revision, Sending
    from workflows.waiting import until

PAGES_IN_FLIGHT = 4
PAGES_PER_RUN = 300
"""After so many pages the workflow continues as new, far below the server's limit of history events."""


class Sender:
    """Sends the pages of a step, a few at a time, from wherever the step stands."""

    def __init__(self, outreach: str) -> None:
        self._outreach = outreach
        self._pages = 0
        self.unknown = 0

    @property
    def wants_new_run(self) -> bool:
        """Returns whether this run has grown long enough."""
        return self._pages >= PAGES_PER_RUN or workflow.info().is_continue_as_new_suggested()

    async def send(self, revision: Revision, sending: Sending, stop: Callable[[], bool]) -> str:
        """Sends a step until it is done, something else is to be done, or this run is full; returns what halted it.

        Pages are called back when `stop` says so: one may wait a day for its provider or a worker.
        `revision.sending` stays set while anything of the step is left, so that another turn goes on with it.
        """
        running: dict[asyncio.Task[PageReport], int] = {}
        halted = ""
        bell = asyncio.create_task(until(stop))
        while True:
            while len(running) < PAGES_IN_FLIGHT and not (halted or bell.done() or stop() or self.wants_new_run):
                page = sending.take()
                if page is None:
                    break
                self._pages += 1
                running[asyncio.create_task(self._page(revision, sending.step, page))] = page
            if not running:
                break
            done, _ = await workflow.wait(
                [*running, *([] if bell.done() else [bell])], return_when=asyncio.FIRST_COMPLETED
            )
            if bell in done:
                for task in running:
                    task.cancel()
            for task in [task for task in running if task.done()]:
                page = running.pop(task)
                try:
                    report = task.result()
                except (Exception, asyncio.CancelledError) as error:
                    if is_cancelled_exception(error) or _not_retried(error):
                        sending.put_back(page)
                        continue
                    workflow.logger.warning("page %s of %s failed: %s", page, sending.step, type(error).__name__)
                    halted = halted or "page_failed"
                    sending.put_back(page)
                    continue
                sending.in_doubt += report.in_doubt
                if report.halted:
                    halted = halted or (report.halted if report.halted != CALLED_BACK else "")
                    sending.put_back(page)
                elif report.next_at is not None:
                    # Never at once: the clock that told the hour and this one may differ.
                    revision.defer(sending, page, max(report.next_at, workflow.now() + RETRY))
                else:
                    sending.broken += report.broken
        bell.cancel()
        if halted or sending.spans:
            return halted
        await self.reconcile(revision, sending)
        revision.sending = None
        return ""

    async def _page(self, revision: Revision, step: str, page: int) -> PageReport:
        channel = next(r.channel for r in revision.plan.pages if r.first <= page < r.first + r.count)
        request = PageRequest(
            outreach=self._outreach, revision=revision.plan.revision, step=step, channel=channel, page=page
        )
        queue = contract.send_queue(channel, urgent=revision.plan.urgent)
        return await workflow.execute_activity_method(DispatchActivities.dispatch, request, task_queue=queue, **SEND)

    async def reconcile(self, revision: Revision, sending: Sending) -> None:
        """Asks what became of the messages in doubt; what nobody knows in the end stays for a person to decide."""
        left = sending.in_doubt
        for turn, last in ((1, False), (2, True)):
            if not left:
                break
            await workflow.sleep(revision.plan.reconcile_after * turn, summary="reconcile")
            left = 0
            for channel in revision.plan.channels:
                request = ReconcileRequest(
                    outreach=self._outreach,
                    revision=revision.plan.revision,
                    step=sending.step,
                    channel=channel,
                    last=last,
                )
                result = await workflow.execute_activity_method(
                    ReconciliationActivities.reconcile,
                    request,
                    task_queue=contract.send_queue(channel, urgent=revision.plan.urgent),
                    **DATABASE,
                )
                left += result.left
                self.unknown += result.unknown


def _not_retried(error: BaseException) -> bool:
    """Returns whether an activity would have been tried again, had it not been called back meanwhile."""
    return isinstance(error, ActivityError) and error.retry_state is RetryState.CANCEL_REQUESTED
