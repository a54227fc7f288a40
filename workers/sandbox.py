"""The sandbox that workflows run in: all of their code does, and nothing of the SDK that has no need to.

The SDK asks three times for each payload by which activity or workflow it is, and goes into the sandbox and out again
for every answer. What it runs there is its own look-up; this took a fifth of a worker's time, the workflows a tenth.
"""

from dataclasses import dataclass
from typing import Any

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox._runner import _Instance


@dataclass(frozen=True)
class Sandbox(SandboxedWorkflowRunner):
    """Runs workflows as the SDK's own sandbox does, and under the same restrictions."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Returns a workflow in a sandbox of its own."""
        return _Workflow(det, self.runner_class, self.restrictions)


class _Workflow(_Instance):
    def get_serialization_context(self, command_info: Any) -> Any:
        return self._inside.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._inside.get_external_store_context(command_info)

    @property
    def _inside(self) -> Any:
        return self.globals_and_locals["__temporal_in_sandbox"]
