"""The outreach with one step moved, to show that the replay test notices."""

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from tellfirst import contract
    from tellfirst.contract import Result
    from workflows.mailbox import NOTHING
    from workflows.outreach import OutreachWorkflow


@workflow.defn(name=contract.OUTREACH)
class Reordered(OutreachWorkflow):
    """Is the outreach that waits a second before it plans."""

    @workflow.run
    async def run(self, start: RawValue = NOTHING) -> Result:
        await workflow.sleep(1)
        return await super().run(start)
