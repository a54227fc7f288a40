"""What people see of an outreach that was paused for harm, and what they do about it."""

from typing import Any

from tellfirst.contract import Stage
from tests.cli.conftest import Done, Office
from tests.cli.test_steer import eventually
from tests.workflows.test_harm import Handle, opt_out, rounds, sends
from tests.workflows.test_sending import people


async def sent_to(office: Office, count: int) -> Handle:
    """Returns an outreach that waits for its window to close."""
    handle = await office.world.start(office.world.late(*people(office.world, count)))
    assert (await office.approve(handle.id)).code == 0
    await office.world.stage(handle, Stage.AWAITING_WINDOW)
    return handle


def flat(text: str) -> str:
    return " ".join(text.split())


def one_of(done: Done, outreach: str) -> dict[str, Any]:
    return next(one for one in done.document if one["outreach"] == outreach)


async def test_show_and_stuck_say_what_was_seen_and_what_to_do(office: Office) -> None:
    world = office.world
    handle = await sent_to(office, 100)
    quiet = (await office.run("show", handle.id)).out
    assert "now: 0 of 100 told opted out: 0.0%, limit 5.0%" in quiet
    assert "paused" not in quiet
    opt_out(world, sends(world, handle.id)[:20])
    await rounds(world)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    shown = (await office.run("show", handle.id)).out
    words = "20 of 100 told opted out: 20.0%, surely above 9.1%, limit 5.0%"
    assert "paused: it does harm" in flat(shown)
    assert "held by a person" not in shown
    do = f"{words}; `tellfirst resume` accepts it as it is, `tellfirst abort` ends it"
    assert do in flat(shown)
    document = (await office.run("show", handle.id, "--json")).document["harm"]
    assert [(one["rule"], one["number"], one["accepted"]) for one in document["events"]] == [("opt_out", 1, None)]
    assert [one["rule"] for one in document["standings"]] == ["opt_out", "negative_tone", "team_load"]
    one = await eventually(office, handle.id)
    assert (one.stage, one.waiting_on) == ("needs_attention", "Service lead")
    assert (
        f"Paused, for it does harm: {words}. `tellfirst resume`"
        in one_of(await office.run("stuck", "--json"), handle.id)["what"]
    )
    assert "tellfirst show; then resume, which accepts it, or abort" in flat((await office.run("stuck")).out)
    assert (await office.run("resume", handle.id, "--as", "eve")).code == 0
    await world.stage(handle, Stage.AWAITING_WINDOW)
    await rounds(world)
    again = flat((await office.run("show", handle.id)).out)
    assert "somebody let it go on" in again
    assert "now: 20 of 100 told opted out: 20.0%, surely above 9.1%, limit 30.0%" in again


async def test_an_abort_ends_the_asking(office: Office) -> None:
    world = office.world
    handle = await sent_to(office, 50)
    opt_out(world, sends(world, handle.id)[:20])
    await rounds(world)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert (await office.run("abort", handle.id, "--reason", "they do not want it", "--as", "eve")).code == 0
    await world.stage(handle, Stage.AWAITING_WINDOW)
    await world.until(lambda: world.escalations.open() == [])
