"""Switches stay as they were turned on."""

from collections.abc import Callable

from tellfirst.store.controls import PAUSE_ALL, Control, Controls
from tellfirst.store.engine import Database
from tests.store.make import HOUR, NOON, at_once


def test_switch_stays_as_it_was_turned_on(database: Database) -> None:
    controls = Controls(database)
    assert controls.on() == []
    controls.turn_on(PAUSE_ALL, "incident 7", by="ana", at=NOON)
    controls.turn_on(PAUSE_ALL, "another", by="ben", at=NOON + HOUR)
    assert controls.on() == [Control(name="pause-all", value="incident 7", by="ana", at=NOON)]


def test_turning_off_says_whether_it_was_on(database: Database) -> None:
    controls = Controls(database)
    controls.turn_on("channel:sms", "configuration:20003", by="sms", at=NOON)
    controls.turn_on(PAUSE_ALL, "x", by="ana", at=NOON)
    assert controls.turn_off("channel:sms", by="ana", at=NOON)
    assert not controls.turn_off("channel:sms", by="ana", at=NOON)
    assert [control.name for control in controls.on()] == [PAUSE_ALL]


def test_each_pause_of_everything_is_one_of_its_own(database: Database) -> None:
    controls = Controls(database)
    assert controls.pause() is None
    controls.pause_all("p-1", by="ana", at=NOON)
    controls.pause_all("p-2", by="ben", at=NOON + HOUR)
    assert controls.on() == [Control(name="pause-all", value="p-2", by="ben", at=NOON + HOUR)]


def test_of_many_who_pause_at_once_one_pause_stands(database: Database) -> None:
    controls = Controls(database)

    def job(number: int) -> Callable[[], None]:
        return lambda: controls.pause_all(f"p-{number}", by="ana", at=NOON)

    at_once([job(number) for number in range(8)])
    assert len(controls.on()) == 1
