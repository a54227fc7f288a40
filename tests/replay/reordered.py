"""The outreach with one step moved, to show that the replay test notices."""

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from tellfirst import contract
    from tellfirst.contract import Result
    from workflows.outreach import OutreachWorkflow


@workflow.defn(name=contract.OUTREACH)
class Reordered(OutreachWorkflow):
    """Is the outreach that waits a second before it plans."""

    @workflow.init
    def __init__(self, start: RawValue) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: RawValue) -> Result:
        await workflow.sleep(1)
        return await super().run(start)
