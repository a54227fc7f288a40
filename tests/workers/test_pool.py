"""How soon another worker goes on where one died, that a mass leaves room for others, and who works on what."""

from datetime import timedelta

import pytest
from temporalio.client import Client

from activities.dispatch import TAKE_OVER_EVERY
from tellfirst.errors import InputError
from tellfirst.settings import Settings
from tests.world import World
from workers.pool import HEARD_WITHIN, PAGES_AT_ONCE, workers
from workflows.options import SEND
from workflows.sending import PAGES_IN_FLIGHT


def test_a_dead_workers_page_is_taken_over_within_fifteen_seconds() -> None:
    settings, first = Settings.load(_env_file=None), SEND["retry_policy"].initial_interval
    silent = HEARD_WITHIN + SEND["heartbeat_timeout"] + first
    held = timedelta(seconds=settings.lease_seconds) + TAKE_OVER_EVERY
    assert max(silent, held) < timedelta(seconds=15)


def test_one_mass_leaves_room_beside_it() -> None:
    assert PAGES_IN_FLIGHT < PAGES_AT_ONCE


@pytest.mark.parametrize("queues", [("send-sms", "send-sms-urgent"), ("outreach",), ()])
async def test_a_process_works_on_the_queues_that_it_is_given(world: World, queues: tuple[str, ...]) -> None:
    client = await Client.connect(world.env.client.service_client.config.target_host)
    works_on = {one.task_queue for one in workers(world.app, client, queues=queues)}
    assert works_on == set(queues) or (not queues and works_on > {"outreach", "send-email", "send-sms-urgent"})


async def test_a_queue_that_there_is_not_is_named(world: World) -> None:
    with pytest.raises(InputError, match="there is no queue 'send-fax'; the queues are outreach, feed, send-"):
        workers(world.app, world.env.client, queues=["send-fax", "outreach"])
