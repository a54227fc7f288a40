"""What the dashboard reads, on both databases: counted as it is, as of an instant, and never by a walk through all."""

from datetime import timedelta

from sqlalchemy import event

from tellfirst.store.dashboard import Dashboard
from tellfirst.store.engine import Database
from tellfirst.store.tables import ConsentRow
from tellfirst.store.tables_harm import HarmEventRow
from tests.web.mornings import DOWN, LATE, NOON, OLD, PAID, Morning, put_morning


def test_a_morning_is_read_as_it_is(database: Database) -> None:
    put_morning(database)
    crossing = {"rule": "opt_out", "number": 1, "figure": 0.1, "bound": 0.07, "limit": 0.05, "words": "", "at": NOON}
    Morning(database).put(HarmEventRow, {"outreach_id": LATE, **crossing}, {"outreach_id": OLD, **crossing})
    board = Dashboard(database)
    seen = board.front(now=NOON)
    assert [(one.trigger, one.conditions, one.affected) for one in seen.warnings] == [
        ("payment_failed", 1, 80),
        ("late_delivery", 1, 72),
        ("service_disruption", 1, 20),
    ]
    assert seen.warnings[1].days == (29, 21, 0, 24, 56, 43, 72)
    assert [(one.kind, one.who, one.overdue) for one in seen.waits] == [
        ("promise_at_risk", ("Incident lead",), True),
        ("outreach", ("Billing lead",), True),
        ("exception", (), False),
        ("library", ("Library approver", "Privacy owner"), False),
    ]
    assert [(one.outreach, one.people, one.risk) for one in seen.promises] == [(DOWN, 8, "paused"), (LATE, 28, "")]
    [live] = seen.live
    assert (live.told, live.held, live.deferred, live.failed, live.waiting, live.rate) == (28, 6, 4, 5, 17, 33)
    assert live.left == timedelta(seconds=30) * 3 / 33, "three are ready; who has an hour of their own does not wait"
    assert [(one.outreach, one.what, one.count) for one in seen.snags] == [
        (DOWN, "paused", 0),
        (LATE, "unknown", 3),
        (LATE, "harm", 0),
    ]
    [answered] = seen.answers
    assert (answered.told, answered.opted_out, answered.angry, answered.why, answered.thanks) == (31, 1, 2, 1, 2)
    assert seen.running == 3
    later = board.front(now=NOON + timedelta(days=2))
    assert [one.waiting for one in later.live] == [3], "who is not drawn in time is not told"
    assert [one.outreach for one in later.snags if one.what == "deadline_passed"] == [PAID]
    assert later.answers == seen.answers
    assert board.front(now=NOON + timedelta(days=8)).answers == ()


def test_an_outreach_is_read_whole(database: Database) -> None:
    put_morning(database)
    page = Dashboard(database).outreach(LATE)
    assert page is not None
    [revision] = page.revisions
    assert revision.sends == {
        "initial": {"delivered": 20, "accepted": 8, "deferred": 4, "failed": 2, "unknown": 3, "planned": 3}
    }
    assert [(one.approver, one.accepted) for one in revision.decisions] == [("ana", True), ("", False)]
    assert [one.what for one in page.timeline] == [
        *("detected", "started", "planned", "approve", "refused", "reminder", "left", "promised"),
    ]
    assert page.arms == {"treated": 40, "control": 6}
    old = Dashboard(database).outreach(OLD)
    assert old is not None
    assert old.result is not None
    assert (old.result.grade, old.result.clusters) == ("A", {"treated": 1_804, "control": 201})
    assert Dashboard(database).outreach("outreach/late_delivery/none/1") is None


def test_it_never_walks_through_the_whole_effect_log(database: Database) -> None:
    if not database.is_sqlite:
        return  # an empty PostgreSQL walks wherever there is nothing
    put_morning(database)
    agreed = {"customer_id": "c-late_delivery-7", "channel": "*", "purpose": "*", "allowed": True, "source": "import"}
    Morning(database).put(ConsentRow, *({**agreed, "at": NOON - timedelta(days=30)} for _ in range(200)))
    asked: list[tuple[str, object]] = []

    def keep(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", keep)
    Dashboard(database).front(now=NOON)
    Dashboard(database).outreach(LATE)
    Dashboard(database).sending(LATE, now=NOON)
    event.remove(database.engine, "before_cursor_execute", keep)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")  # what it then knows tempts it
        walked = [
            (statement, step)
            for statement, parameters in asked
            if statement.startswith("SELECT")
            for *_, step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
            if step.startswith(("SCAN sends", "SCAN recipients", "SCAN consents", "SCAN admissions", "SCAN contacts"))
        ]
    assert walked == []
