"""The application as production wires it, on a real Temporal server whose clock the tests move."""

import asyncio
import gc
import sysconfig
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tellfirst import contract
from tests.figures import figure, pytest_terminal_summary, told
from tests.world import World

__all__ = ["env", "figure", "pytest_terminal_summary", "told", "world"]

TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"
FLAGS = (
    "frontend.WorkflowTimeSkippingEnabled=true",  # without it every start fails
    'history.timerProcessorMaxTimeShift="10ms"',  # jumps take 0.3 s instead of 2 s
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with what takes long: a file that is left over at the end keeps one process busy and the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, item.path.parent.name not in ("workflows", "ui")))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def env() -> AsyncIterator[WorkflowEnvironment]:
    """Is the real dev server with a virtual clock per workflow, one for the whole session."""
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(TEMPORAL),
        dev_server_log_level="error",
        dev_server_startup_timeout=timedelta(seconds=60),
        dev_server_extra_args=[part for flag in FLAGS for part in ("--dynamic-config-value", flag)],
        data_converter=contract.DATA_CONVERTER,
        search_attributes=list(contract.SEARCH_ATTRIBUTES),
    )
    yield environment
    await environment.shutdown()


@pytest_asyncio.fixture(loop_scope="session")
async def world(env: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[World]:
    """Is a fresh installation with running workers; whatever it started is ended with it."""
    made = World(env, tmp_path, loop=asyncio.get_running_loop())
    async with made:
        yield made


def pytest_collection_finish() -> None:
    """Lets the collection of garbage pass over what stays: thousands of tests, and all that is imported."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Lets it have everything again, or libraries would be told of leaks."""
    gc.unfreeze()
