"""A phased outreach lives as any other: its later phases are waves that wait for their hour."""

from datetime import timedelta

from sqlmodel import select

from tellfirst.measurement.assignment import draw
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.tables_assignments import AssignmentRow
from tests.world import World

PHASED = {"holdout = 0\n": 'holdout = 0\nphased = true\nphase = "PT2H"\n'}


async def test_who_is_told_later_is_compared_until_then(world: World) -> None:
    world.override("late_delivery", PHASED)
    names = [f"c-{n}" for n in range(20)]
    for name in names:
        world.customer(name)
    world.contacts_known()
    handle = await world.start(world.late(*(name.replace("c-", "o-") for name in names)))
    early = {name for name in names if draw(world.settings.holdout_salt, handle.id, name) < 0.5}
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == len(early))
    assert {message.customer for message in world.sms.sent} == early
    await world.pass_time(handle, hours=2, minutes=1)
    await world.until(lambda: len(world.sms.sent) == len(names))
    assert (await world.finish(handle)).ending == "measured"
    assert world.app is not None
    [outcome] = Outcomes(world.app.database).latest()
    assert {(one.arm, one.share, one.clusters) for one in outcome.figures} == {
        ("treated", 0.5, len(early)),
        ("control", 0.5, len(names) - len(early)),
    }
    assert outcome.grade == "B"
    assert "told in a later phase, which chance chose" in outcome.sentence
    with world.app.database.read() as session:
        ledger = list(session.exec(select(AssignmentRow)))
    assert {(row.phases, timedelta(seconds=row.phase_seconds)) for row in ledger} == {(2, timedelta(hours=2))}
