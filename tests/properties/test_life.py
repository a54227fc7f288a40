"""Whatever happens to an outreach, in whatever order: nobody twice, nobody unasked for, nobody forgotten."""

import asyncio
from collections import Counter

import pytest
from hypothesis.stateful import run_state_machine_as_test
from temporalio.testing import WorkflowEnvironment

from tests.figures import Figure
from tests.properties.life import Life
from tests.properties.trying import examples
from tests.world import holding_nobody_out


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_no_order_of_events_breaks_a_promise(env: WorkflowEnvironment, figure: Figure) -> None:
    class Here(Life):
        pass

    Here.env, Here.loop, Here.library = env, asyncio.get_running_loop(), holding_nobody_out()
    seen: Counter[str] = Counter()
    Here.seen = seen
    await asyncio.to_thread(run_state_machine_as_test, Here, settings=examples(15, stateful_step_count=12))
    figure(", ".join(f"{what} {count:,}" for what, count in sorted(seen.items())))
