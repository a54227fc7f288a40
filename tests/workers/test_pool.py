"""How soon another worker goes on where one died, and that a mass leaves room for others."""

from datetime import timedelta

from activities.dispatch import TAKE_OVER_EVERY
from tellfirst.settings import Settings
from workers.pool import HEARD_WITHIN, PAGES_AT_ONCE
from workflows.options import SEND
from workflows.sending import PAGES_IN_FLIGHT


def test_a_dead_workers_page_is_taken_over_within_fifteen_seconds() -> None:
    settings, first = Settings.load(_env_file=None), SEND["retry_policy"].initial_interval
    silent = HEARD_WITHIN + SEND["heartbeat_timeout"] + first
    held = timedelta(seconds=settings.lease_seconds) + TAKE_OVER_EVERY
    assert max(silent, held) < timedelta(seconds=15)


def test_one_mass_leaves_room_beside_it() -> None:
    assert PAGES_IN_FLIGHT < PAGES_AT_ONCE
