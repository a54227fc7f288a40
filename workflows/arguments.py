"""What does not bring exactly one argument is handed on as bringing none, so that it is refused and fails no task.

The SDK calls a handler with as many arguments as were sent. One too many raises in the handler, which fails this and
every later task of the outreach: a stranger's message would hold it for ever.
"""

from typing import Any

from temporalio import workflow
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

with workflow.unsafe.imports_passed_through():
    from workflows.mailbox import NOTHING


class OneArgument(Interceptor):
    """Is what a worker of outreaches is wired with."""

    def workflow_interceptor_class(self, _: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """Returns the part that works inside workflows."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    async def execute_workflow(self, call: ExecuteWorkflowInput) -> Any:
        call.args = _one(call.args)
        return await super().execute_workflow(call)

    async def handle_signal(self, call: HandleSignalInput) -> None:
        call.args = _one(call.args)
        await super().handle_signal(call)

    def handle_update_validator(self, call: HandleUpdateInput) -> None:
        call.args = _one(call.args)
        super().handle_update_validator(call)

    async def handle_update_handler(self, call: HandleUpdateInput) -> Any:
        call.args = _one(call.args)
        return await super().handle_update_handler(call)


def _one(args: Any) -> Any:
    return args if len(args) == 1 else [NOTHING]
