"""Starts what a server under load first says it does not know, and tells a namespace that is not there."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from tellfirst.client import OutreachClient
from tellfirst.contract import DecisionEnvelope
from tellfirst.errors import UnreachableError


class Forgetful:
    """Is a Temporal client whose server says a few times that it does not know what is asked for."""

    def __init__(self, temporal: Client, times: int) -> None:
        self._temporal, self._times = temporal, times

    async def start_workflow(self, *given: Any, **how: Any) -> object:
        self._times -= 1
        if self._times >= 0:
            raise RPCError("not found", RPCStatusCode.NOT_FOUND, b"")
        return await self._temporal.start_workflow(*given, **how)


async def test_a_start_is_asked_for_again(env: WorkflowEnvironment) -> None:
    client = OutreachClient(Forgetful(env.client, 2))  # type: ignore[arg-type]
    name = await client.resume_all("20260101T000000Z-abcd")
    handle = env.client.get_workflow_handle(name)
    assert (await handle.describe()).workflow_type == "Resume"
    await handle.terminate()


async def test_whoever_submits_can_be_cancelled(env: WorkflowEnvironment) -> None:
    client = OutreachClient(env.client)
    nobody_answers = await client.resume_all("20260101T000000Z-efgh")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await client.submit(nobody_answers, DecisionEnvelope(document={}, signature=""))
    await env.client.get_workflow_handle(nobody_answers).terminate()


async def test_a_namespace_that_is_not_there_is_told(env: WorkflowEnvironment) -> None:
    there = env.client.service_client.config.target_host
    elsewhere = await Client.connect(there, namespace="nowhere")
    with pytest.raises(UnreachableError, match="TEMPORAL_NAMESPACE"):
        await OutreachClient(elsewhere).resume_all("20260101T000000Z-abcd")
