"""The documented contract is enough: the stock Temporal CLI starts, decides and looks, without a line of our client.

A workflow that the CLI starts runs on the real clock, so for a whole life the playbook's days are seconds.
"""

import asyncio
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from tellfirst import contract
from tellfirst.contract import Result, View
from tests.conftest import TEMPORAL
from tests.contract.publish import FOLDER
from tests.world import World

SECONDS = {
    'remind_after = "PT2H"': 'remind_after = "PT5S"',
    'escalate_after = "PT4H"': 'escalate_after = "PT6S"',
    'expires_after = "PT24H"': 'expires_after = "PT7S"',
    'expires = "PT24H"': 'expires = "PT20S"',
    'after = "P2D"\nlead = "PT2H"': 'after = "PT9S"\nlead = "PT1S"',
    'window = "P7D"': 'window = "PT10S"',
}


async def run(*command: str, cwd: Path, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Runs a program beside the workers and returns its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, said.decode(), complained.decode()


class Stock:
    """Is the stock Temporal CLI in an empty folder, pointed at the server of the tests."""

    def __init__(self, env: WorkflowEnvironment, folder: Path, world: World) -> None:
        self.folder, self.world = folder, world
        self.client = env.client
        self.address = env.client.service_client.config.target_host
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}

    async def __call__(self, *arguments: str, ok: bool = True) -> str:
        code, said, complained = await run(
            str(TEMPORAL), *arguments, "--address", self.address, cwd=self.folder, env=self.environment
        )
        assert (code == 0) == ok, complained + said
        return said

    async def start(self, condition: object, *, id_: str) -> str:
        """Starts an outreach from a file, as the documentation says, and returns its id."""
        (self.folder / "condition.json").write_text(condition if isinstance(condition, str) else json.dumps(condition))
        await self(
            *("workflow", "start", "--type", "Outreach", "--task-queue", "outreach", "--workflow-id", id_),
            *("--id-conflict-policy", "UseExisting", "--id-reuse-policy", "RejectDuplicate"),
            *("--input-file", "condition.json"),
        )
        self.world._started.append(self.client.get_workflow_handle(id_))
        return id_

    async def decide(self, outreach: str, *arguments: str) -> None:
        await self("workflow", "signal", "--workflow-id", outreach, "--name", "decide", *arguments)

    async def view(self, outreach: str) -> View:
        said = json.loads(
            await self("workflow", "query", "--workflow-id", outreach, "--type", "view", "--output", "json")
        )
        # This CLI prints an empty list as null.
        return View.model_validate({name: value for name, value in said["queryResult"][0].items() if value is not None})

    async def result(self, outreach: str) -> Result:
        handle = self.client.get_workflow_handle(outreach, result_type=Result)
        return await asyncio.wait_for(handle.result(), 60)


@pytest_asyncio.fixture(loop_scope="session")
async def stock(env: WorkflowEnvironment, world: World, tmp_path: Path) -> AsyncIterator[Stock]:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    yield Stock(env, folder, world)


def condition(world: World, **changed: Any) -> dict[str, Any]:
    return {**world.late("o-1").model_dump(mode="json"), **changed}


def name_of(world: World, key: str = "") -> str:
    return contract.outreach_id("late_delivery", key or world.key, 1)


@pytest.mark.slow
async def test_from_a_condition_file_to_the_recorded_outcome(stock: Stock, world: World) -> None:
    world.override("late_delivery", SECONDS)
    world.customer("c-1")
    world.contacts_known()
    outreach = await stock.start(condition(world), id_=name_of(world))
    await world.planned(outreach)
    assert (await stock.view(outreach)).stage == "awaiting_approval"
    (stock.folder / "decision.json").write_text(world.envelope(outreach).model_dump_json())
    await stock.decide(outreach, "--input-file", "decision.json")
    result = await stock.result(outreach)
    assert (result.ending, result.recipients, result.accepted) == ("measured", 1, 2)
    assert len(world.sms.sent) == 2, "the first message and the promised update"
    outcome = world.outreaches.get(outreach)
    assert outcome is not None
    assert outcome.ending == "measured"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
async def test_the_documented_lines_approve(stock: Stock, world: World) -> None:
    key = stock.folder / "key"
    assert (await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key), cwd=stock.folder))[0] == 0
    world.registry.write_text(
        world.registry.read_text().replace(world.ana.line, key.with_suffix(".pub").read_text().strip())
    )
    world.customer("c-1")
    outreach = await stock.start(condition(world), id_=name_of(world))
    await world.planned(outreach)
    # The page says `temporal` and means the server of this machine; here it is the server of the tests.
    shim = stock.folder / "temporal"
    shim.write_text(f'#!/bin/sh\nexec "{TEMPORAL}" "$@" --address "{stock.address}"\n')
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    (stock.folder / "python3").symlink_to(sys.executable)
    lines = re.search(r"```bash\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    assert lines
    code, _, complained = await run(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        lines[1],
        cwd=stock.folder,
        env={
            "PATH": f"{stock.folder}:{os.environ['PATH']}",
            "HOME": str(stock.folder),
            "DATABASE": str(world.folder / "tellfirst.db"),
            "OUTREACH": outreach,
            "APPROVER": "ana",
            "KEY": str(key),
        },
    )
    assert code == 0, complained
    await world.until(lambda: len(world.sms.sent) == 1)
    assert [d.accepted for d in world.decisions.received(outreach)] == [True]


MALFORMED = {
    "no argument": (),
    "plain text": ("--input", "yes, please", "--input-meta", "encoding=binary/plain"),
    "a string": ("--input", '"yes"'),
    "null": ("--input", "null"),
    "a number": ("--input", "1"),
    "another object": ("--input", '{"approve": true}'),
    "a list": ("--input", "[]"),
    "too much": ("--input", '{"document": {}, "signature": "x", "more": 1}'),
    "no signature": ("--input", '{"document": {"revision": 1}, "signature": ""}'),
}


async def test_a_malformed_decision_is_counted_and_nothing_is_lost(stock: Stock, world: World) -> None:
    world.customer("c-1")
    outreach = await stock.start(condition(world), id_=name_of(world))
    await world.planned(outreach)
    for arguments in MALFORMED.values():
        await stock.decide(outreach, *arguments)
    await stock("workflow", "signal", "--workflow-id", outreach, "--name", "nonsense", "--input", "1")
    view = await stock.view(outreach)
    assert view.stage == "awaiting_approval"
    await world.until(lambda: len(world.decisions.received(outreach)) == len(MALFORMED))
    assert (await stock.view(outreach)).refused_messages == len(MALFORMED)
    assert {d.code for d in world.decisions.received(outreach)} == {"malformed"}
    await stock.decide(outreach, "--input", world.envelope(outreach).model_dump_json())
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_a_decision_with_two_arguments_is_counted(stock: Stock, world: World) -> None:
    world.customer("c-1")
    outreach = await stock.start(condition(world), id_=name_of(world))
    await world.planned(outreach)
    await stock.decide(outreach, "--input", world.envelope(outreach).model_dump_json(), "--input", "2")
    assert (await stock.view(outreach)).refused_messages == 1
    assert (await stock.view(outreach)).revisions[0].status == "pending"
    handle = stock.client.get_workflow_handle(outreach)
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(contract.SUBMIT_DECISION, args=[world.envelope(outreach), 2])
    await stock.decide(outreach, "--input", world.envelope(outreach).model_dump_json())
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_malformed_events_are_counted(stock: Stock, world: World) -> None:
    world.customer("c-1")
    outreach = await stock.start(condition(world), id_=name_of(world))
    await world.planned(outreach)
    for name in ("pause", "abort", "condition_changed", "condition_cleared", "escalation_acknowledged"):
        await stock("workflow", "signal", "--workflow-id", outreach, "--name", name, "--input", '{"event": "e-1"}')
        await stock("workflow", "signal", "--workflow-id", outreach, "--name", name)
    view = await stock.view(outreach)
    assert (view.refused_messages, view.paused, view.stage) == (10, False, "awaiting_approval")
    event = json.dumps({"event_id": "e-1"})
    await stock("workflow", "signal", "--workflow-id", outreach, "--name", "abort", "--input", event)
    assert (await stock.result(outreach)).ending == "aborted"


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "a missing key": ({"key": None}, "the condition is malformed at key: "),
    "no subjects": ({"subjects": []}, "give either subjects or an audience query"),
    "a naive instant": ({"detected_at": "2026-11-22T08:00:00"}, "the condition is malformed at detected_at: "),
    "a typing error": ({"episod": 2}, "the condition is malformed at episod: "),
    "an address as its key": ({"key": "+14155550100"}, "the condition key looks like an address"),
    "an unknown trigger": ({"trigger": "lost_in_space"}, "unknown_trigger"),
    "an unknown query": ({"subjects": [], "audience": {"query": "everyone"}}, "unknown_audience_query"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_condition_ends_refused(stock: Stock, world: World, case: str) -> None:
    changes, reason = BROKEN[case]
    given = {key: value for key, value in condition(world, **changes).items() if value is not None}
    outreach = await stock.start(given, id_=name_of(world))
    result = await stock.result(outreach)
    assert result.ending == "refused"
    assert reason in result.reason
    assert "4155550100" not in result.reason
    assert world.outreaches.get(outreach) is None, "a refused start claims nothing"


@pytest.mark.parametrize("given", ["null", "[]", '"late"', "{}"])
async def test_something_else_than_a_condition_ends_refused(stock: Stock, world: World, given: str) -> None:
    outreach = await stock.start(given, id_=name_of(world))
    assert (await stock.result(outreach)).ending == "refused"


async def test_no_condition_at_all_ends_refused(stock: Stock, world: World) -> None:
    outreach = name_of(world)
    await stock("workflow", "start", "--type", "Outreach", "--task-queue", "outreach", "--workflow-id", outreach)
    assert (await stock.result(outreach)).ending == "refused"


async def test_two_conditions_at_once_end_refused_with_what_waited(stock: Stock, world: World) -> None:
    outreach, client = name_of(world), stock.client
    await world.rest()
    handle = await client.start_workflow(
        contract.OUTREACH, args=[condition(world), condition(world)], id=outreach, task_queue=contract.QUEUE
    )
    await handle.signal(contract.DECIDE, {"document": {"revision": 1}, "signature": "x"})
    await world.work()
    assert (await stock.result(outreach)).ending == "refused"


@pytest.mark.parametrize("key", ["+14155550100", "jo@example.org"])
async def test_an_address_in_the_id_ends_refused(stock: Stock, world: World, key: str) -> None:
    outreach = await stock.start(condition(world), id_=name_of(world, f"{key}-{world.key}"))
    result = await stock.result(outreach)
    assert result.ending == "refused"
    assert key not in result.reason
    assert world.outreaches.get(outreach) is None


async def test_a_second_start_is_one_outreach(stock: Stock, world: World) -> None:
    world.customer("c-1")
    outreach = await stock.start(condition(world), id_=name_of(world))
    await world.planned(outreach)
    await stock.start(condition(world), id_=outreach)
    other = await stock.start(condition(world), id_=f"another/{world.key}")
    assert (await stock.result(other)).ending == "duplicate"
    assert (await stock.view(outreach)).stage == "awaiting_approval"
    assert world.outreaches.latest_revision(outreach) == 1
