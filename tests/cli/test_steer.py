"""People steer what runs, and see what waits for them too long."""

from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.cli.stuck import Stuck, find_stuck, worker_polls
from tellfirst.contract import Stage
from tests.cli.conftest import Office, Shell


async def waiting(office: Office) -> str:
    office.world.customer("c-1")
    handle = await office.world.start(office.world.late("o-1"))
    await office.world.planned(handle.id)
    return handle.id


async def test_an_outreach_is_held_and_goes_on(office: Office) -> None:
    outreach = await waiting(office)
    handle = office.world.env.client.get_workflow_handle(outreach)
    done = await office.run("pause", outreach, "--as", "eve")
    assert (done.code, done.out) == (
        0,
        f"{outreach} is asked to pause; `tellfirst resume {outreach}` lets it go on\n",
    )
    await office.world.stage(handle, Stage.PAUSED)
    assert (await office.run("resume", outreach)).out == f"{outreach} is asked to go on\n"
    await office.world.stage(handle, Stage.AWAITING_APPROVAL)


async def test_an_aborted_outreach_tells_why(office: Office) -> None:
    outreach = await waiting(office)
    done = await office.run("abort", outreach, "--reason", "the carrier was wrong")
    assert (done.code, done.out) == (
        0,
        f"{outreach} is asked to abort; `tellfirst show {outreach}` tells how it ends\n",
    )
    result = await office.world.env.client.get_workflow_handle(outreach).result()
    assert result["ending"] == "aborted"
    assert "aborted, the carrier was wrong" in (await office.run("show", outreach)).out
    assert (await office.run("pause", outreach)).code == 1  # it runs no more


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize("words", [[], ["outreach/late_delivery/k/1", "--all"]])
def test_one_or_all_has_to_be_said(shell: Shell, command: str, words: list[str]) -> None:
    done = shell(command, *words)
    assert (done.code, done.out) == (2, "")
    assert "name one outreach, or give --all" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["pause", "outreach/x/y/1"],
        ["resume", "outreach/x/y/1"],
        ["ack", "outreach/x/y/1"],
        ["abort", "outreach/x/y/1", "--reason", "r"],
    ],
)
async def test_an_outreach_that_does_not_run_is_named(office: Office, words: list[str]) -> None:
    done = await office.run(*words)
    assert (done.code, done.out) == (1, "")
    assert done.err == "outreach/x/y/1: there is no running outreach of that name; see `tellfirst pending`\n"


async def test_a_namespace_that_is_not_there_is_named(office: Office) -> None:
    office.shell.environment["TEMPORAL_NAMESPACE"] = "none"
    done = await office.run("stuck")
    assert (done.code, done.out) == (1, "")
    assert done.err == "the Temporal server does not have this namespace; check TEMPORAL_NAMESPACE, or create it\n"


def test_an_abort_needs_a_reason(shell: Shell) -> None:
    assert shell("abort", "outreach/x/y/1").code == 2
    for reason in (" ", "x" * 501):
        done = shell("abort", "outreach/x/y/1", "--reason", reason)
        assert (done.code, done.err) == (2, "--reason: a reason has 1 to 500 characters\n")


async def eventually(office: Office, outreach: str, *, now: datetime | None = None) -> Stuck:
    """Returns what `stuck` says of an outreach, once visibility has caught up."""
    for _ in range(200):
        found = await find_stuck(office.world.env.client, now or datetime.now(UTC))
        for one in found:
            if one.outreach == outreach:
                return one
    raise AssertionError("it is not stuck")


async def test_an_overdue_decision_is_stuck_until_somebody_makes_it(office: Office) -> None:
    outreach = await waiting(office)
    assert outreach not in (await office.run("stuck")).out
    await office.world.pass_time(office.world.env.client.get_workflow_handle(outreach), hours=5)
    one = await eventually(office, outreach)
    assert (one.stage, one.waiting_on, one.problem) == ("approval_overdue", "Service lead", "")
    assert one.what_to_do == "tellfirst show, then approve or reject"
    shown = await office.run("stuck")
    assert shown.code == 0
    assert f"{outreach}  approval_overdue  1/3    Service lead" in shown.out
    [document] = [d for d in (await office.run("stuck", "--json")).document if d["outreach"] == outreach]
    assert set(document) == {
        *("outreach", "stage", "what", "waiting_on", "since", "level", "levels", "acknowledged_by", "acknowledged_at"),
        *("deadline", "problem", "what_to_do"),
    }
    assert (document["level"], document["levels"]) == (1, 3)
    assert document["deadline"].endswith("Z")


async def test_what_no_worker_plans_is_seen(office: Office) -> None:
    office.world.customer("c-1")
    await office.world.rest()
    handle = await office.world.start(office.world.late("o-1"))
    assert handle.id not in [one.outreach for one in await find_stuck(office.world.env.client, datetime.now(UTC))]
    one = await eventually(office, handle.id, now=datetime.now(UTC) + timedelta(minutes=16))
    assert (one.stage, one.problem) == ("planning", "not planned")
    assert one.what_to_do == "check that workers run; else the Temporal UI shows what its planning fails on"
    await office.world.work()
    await office.planned(handle.id)


async def test_a_worker_that_polls_is_seen_and_one_that_is_gone_is_told(office: Office) -> None:
    await waiting(office)
    client, now = office.world.env.client, datetime.now(UTC)
    assert await worker_polls(client, now)
    assert not await worker_polls(client, now + timedelta(minutes=10))


async def test_a_deadline_that_passed_with_no_worker_alive_is_seen(office: Office) -> None:
    outreach = await waiting(office)
    await office.world.stage(office.world.env.client.get_workflow_handle(outreach), Stage.AWAITING_APPROVAL)
    await office.world.rest()
    one = await eventually(office, outreach, now=datetime.now(UTC) + timedelta(hours=25))
    assert (one.stage, one.problem) == ("awaiting_approval", "deadline passed")
    assert one.what_to_do == "check that workers run: python -m workers"
    await office.world.work()


async def test_an_acknowledgement_is_taken(office: Office) -> None:
    outreach = await waiting(office)
    nothing = await office.run("ack", outreach, "--as", "eve")
    assert (nothing.code, nothing.out) == (1, "")
    assert nothing.err == "nothing of it waited for somebody to be on it; `tellfirst stuck` lists what does\n"
    await office.run("escalate", outreach, "--reason", "the carrier's site says otherwise", "--as", "eve")
    await office.until(office.world.escalations.open)
    done = await office.run("ack", outreach, "--as", "eve")
    assert (done.code, done.out) == (0, f"{outreach}: acknowledged by eve\n")


def test_without_a_server_nothing_is_said_to_be_fine(shell: Shell) -> None:
    done = shell("stuck")
    assert (done.code, done.out) == (1, "")
    assert done.err == "the Temporal server cannot be reached; check TEMPORAL_ADDRESS and that the server runs\n"
