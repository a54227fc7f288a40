"""Notices are kept once, before they leave; what was delivered stays so."""

from tellfirst.store.engine import Database
from tellfirst.store.escalations import EscalationRecord, Escalations
from tellfirst.store.notices import Notice, NoticeDelivery, Notices
from tests.store.make import HOUR, NOON, OUTREACH, at_once


def notice(id_: str = "n-1", outreach: str = OUTREACH, text: str = "decide", hours: int = 0) -> Notice:
    return Notice(id=id_, outreach=outreach, kind="reminder", to="Service lead", text=text, at=NOON + hours * HOUR)


def escalation(id_: str = "e-1", about: str = OUTREACH, **more: object) -> EscalationRecord:
    given = {"kind": "attention", "text": "stopped", "level": 1, "levels": 2, "waiting_on": "Lead", "opened_at": NOON}
    return EscalationRecord.model_validate({"id": id_, "about": about, **given, **more})


def test_notice_is_told_once(database: Database) -> None:
    notices = Notices(database)
    assert notices.keep(notice(), ["console"])
    assert not notices.keep(notice(text="again"), ["oncall"])
    assert notices.of(OUTREACH) == [notice()]
    assert notices.get("n-1") == notice()
    assert notices.undelivered("n-1") == ["console"]


def test_of_many_who_tell_the_same_one_does(database: Database) -> None:
    notices = Notices(database)
    assert at_once([lambda: notices.keep(notice(), ["console"])] * 8).count(True) == 1


def test_notices_are_of_one_outreach_in_order(database: Database) -> None:
    notices = Notices(database)
    for given in (notice("b", hours=2), notice("z"), notice("a"), notice("c", outreach="outreach/other")):
        assert notices.keep(given, [])
    assert [n.id for n in notices.of(OUTREACH)] == ["a", "z", "b"]


def test_what_was_delivered_stays_so(database: Database) -> None:
    notices = Notices(database)
    notices.keep(notice(), ["oncall", "leads"])
    notices.tried("n-1", "oncall", "500", delivered=False, at=NOON)
    notices.tried("n-1", "oncall", "204", delivered=True, at=NOON + HOUR)
    notices.tried("n-1", "oncall", "500", delivered=False, at=NOON + 2 * HOUR)
    assert notices.undelivered("n-1") == ["leads"]
    assert notices.deliveries(OUTREACH) == {
        "n-1": [
            NoticeDelivery(way="leads", attempts=0, detail="", delivered_at=None),
            NoticeDelivery(way="oncall", attempts=2, detail="204", delivered_at=NOON + HOUR),
        ]
    }


def test_escalation_stands_as_it_was_kept_last(database: Database) -> None:
    escalations = Escalations(database)
    escalations.keep(escalation(), at=NOON)
    escalations.keep(escalation("e-2", about="exception/r-1", opened_at=NOON - HOUR), at=NOON)
    assert [one.id for one in escalations.open()] == ["e-2", "e-1"]
    on_it = escalation(level=2, acknowledged_by="eve", acknowledged_at=NOON + HOUR)
    escalations.keep(on_it, at=NOON)
    assert escalations.of(OUTREACH) == [on_it]
    escalations.keep(on_it.model_copy(update={"ended_at": NOON + HOUR}), at=NOON)
    assert [one.id for one in escalations.open()] == ["e-2"]
