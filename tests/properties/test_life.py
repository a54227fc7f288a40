"""Whatever happens to an outreach, in whatever order: nobody twice, nobody unasked for, nobody forgotten."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis.stateful import run_state_machine_as_test
from temporalio.testing import WorkflowEnvironment

from tellfirst.domain.message import AnswerKind
from tests.figures import Figure
from tests.properties.life import Life
from tests.properties.provider import Reply
from tests.properties.trying import examples
from tests.world import holding_nobody_out

NOT_SENT: Reply = AnswerKind.NOT_SENT


def here(env: WorkflowEnvironment) -> type[Life]:
    """Returns lives on this server, counted by themselves."""

    class Here(Life):
        pass

    Here.env, Here.loop, Here.library, Here.seen = env, asyncio.get_running_loop(), holding_nobody_out(), Counter()
    return Here


@pytest.mark.slow
@pytest.mark.timeout(3_600)
async def test_no_order_of_events_breaks_a_promise(env: WorkflowEnvironment, figure: Figure) -> None:
    lives = here(env)
    await asyncio.to_thread(run_state_machine_as_test, lives, settings=examples(12, stateful_step_count=12))
    figure("any order: " + ", ".join(f"{what} {count:,}" for what, count in sorted(lives.seen.items())))


# What must be tried however few examples there are: each happens while two of four messages are at their provider.
STORIES: dict[str, Callable[[Life], object]] = {
    "an opt-out": lambda life: life.customer(who=3, what="stops all"),
    "another address": lambda life: life.customer(who=3, what="moves"),
    "a rejection": lambda life: life.decide(decision="reject", how="good"),
    "a pause": lambda life: life.happen(what="pause"),
    "an end of it all": lambda life: life.happen(what="condition_cleared"),
    "an abort": lambda life: life.happen(what="abort"),
    "new workers": lambda life: life.worker(what="replace", step="initial", stand_at=2),
    "a worker who takes the page over": lambda life: life.worker(what="stray", step="initial", stand_at=3),
    "a pause unheard by who took it over": lambda life: (
        life.worker(what="stray", step="initial", stand_at=2),
        life.happen(what="pause"),
        life.worker(what="wake", step="initial", stand_at=2),
    ),
}


async def test_each_thing_that_may_happen_while_messages_leave(env: WorkflowEnvironment) -> None:
    lives = here(env)

    def live(happens: Callable[[Life], object], keyed: bool) -> None:
        life = lives()
        life.begin(people=4, keyed=keyed, mail=False, replies=["lost_answer", NOT_SENT], approved="stalled")
        try:
            life.holds()
            happens(life)
            life.holds()
            life.pass_time(minutes=1)
            life.holds()
        finally:
            life.teardown()

    for number, (name, happens) in enumerate(STORIES.items()):
        try:
            await asyncio.to_thread(live, happens, number % 2 == 1)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
