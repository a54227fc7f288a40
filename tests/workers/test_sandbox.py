"""What workflows run in: their code is kept from what differs from one replay to the next."""

import time
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from workers.sandbox import Sandbox


@workflow.defn
class ReadsTheClock:
    """Does what no workflow may."""

    @workflow.run
    async def run(self) -> float:
        """Returns a time that no replay will see again."""
        return time.time()


@pytest.mark.parametrize("runner", [SandboxedWorkflowRunner(), Sandbox()], ids=["SDK", "ours"])
async def test_a_clock_cannot_be_read(env: WorkflowEnvironment, runner: SandboxedWorkflowRunner) -> None:
    queue = uuid4().hex
    worker = Worker(
        env.client,
        task_queue=queue,
        workflows=[ReadsTheClock],
        workflow_runner=runner,
        workflow_failure_exception_types=[Exception],
    )
    async with worker:
        with pytest.raises(WorkflowFailureError) as failed:
            await env.client.execute_workflow(ReadsTheClock.run, id=queue, task_queue=queue)
    assert "Cannot access time.time" in str(failed.value.cause)
