"""Switches stay as they were turned on, and a person is told a thing once."""

from tellfirst.store.controls import PAUSE_ALL, Control, Controls, Notice
from tellfirst.store.engine import Database
from tests.store.make import HOUR, NOON, OUTREACH, at_once


def notice(id_: str = "n-1", outreach: str = OUTREACH, text: str = "decide", hours: int = 0) -> Notice:
    return Notice(id=id_, outreach=outreach, kind="reminder", to="Service lead", text=text, at=NOON + hours * HOUR)


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


def test_notice_is_told_once(database: Database) -> None:
    controls = Controls(database)
    assert controls.tell(notice())
    assert not controls.tell(notice(text="again"))
    assert controls.notices(OUTREACH) == [notice()]


def test_of_many_who_tell_the_same_one_does(database: Database) -> None:
    controls = Controls(database)
    assert at_once([lambda: controls.tell(notice())] * 8).count(True) == 1


def test_notices_are_of_one_outreach_in_order(database: Database) -> None:
    controls = Controls(database)
    for given in (notice("b", hours=2), notice("z"), notice("a"), notice("c", outreach="outreach/other")):
        assert controls.tell(given)
    assert [n.id for n in controls.notices(OUTREACH)] == ["a", "z", "b"]
