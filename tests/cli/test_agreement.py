"""Several hands: the second person signs beside the first, sees who has agreed, and nobody counts twice."""

import asyncio
import time
from pathlib import Path

import pytest

from tellfirst.cli import submitting
from tellfirst.contract import DecisionEnvelope, Stage
from tellfirst.signing.kinds import OutreachDecision
from tests.cli.conftest import Approver, Done, Office, make_approver, register
from tests.cli.test_decide import planned


def of_two(office: Office) -> Approver:
    """Makes two people necessary, and registers a second one."""
    office.world.override("late_delivery", {'expires_after = "PT24H"': 'expires_after = "PT24H"\nquorum = 2'})
    finn = make_approver(office.world.folder, "finn")
    register(office.world.registry, office.eve, finn)
    return finn


async def approve(office: Office, outreach: str, who: Approver, *more: str) -> Done:
    return await office.run("approve", outreach, "--key", who.key, "--yes", *more)


async def test_second_person_joins_the_first(office: Office) -> None:
    finn = of_two(office)
    outreach = await planned(office)
    shown = await office.run("show", outreach)
    assert "0 of 2 approvals; waiting for 2 more of Service lead" in shown.out
    first = await approve(office, outreach, office.eve)
    assert (first.code, first.out) == (
        0,
        f"approved: revision 1 of {outreach}, by eve\n1 of 2 approvals; another person must approve too\n",
    )
    assert "1 of 2 approvals (eve); waiting for 1 more of Service lead" in (await office.run("show", outreach)).out
    waiting = (await office.run("pending", "--json")).document
    assert [(w["approved_by"], w["needed"]) for w in waiting if w["outreach"] == outreach] == [(["eve"], 2)]
    view = await office.world.client.view(outreach)
    assert (view.stage, "1 of 2 approvals are here" in view.details) == (Stage.AWAITING_APPROVAL, True)
    assert office.world.sms.sent == []
    second = await approve(office, outreach, finn, "--json")
    assert (second.document["status"], second.document["approvals"], second.document["needed"]) == ("approved", 2, 2)
    await office.until(lambda: len(office.world.sms.sent) == 1)


async def test_same_person_twice_is_one_person(office: Office) -> None:
    of_two(office)
    outreach = await planned(office)
    assert (await approve(office, outreach, office.eve)).code == 0
    signed_at = int(time.time())
    await office.until(lambda: int(time.time()) > signed_at)  # within one second it would be the very same document
    again = await approve(office, outreach, office.eve)
    assert (again.code, "refused (same_person)" in again.err) == (1, True)
    assert "another person" in again.err
    assert office.world.outreaches.revision(outreach, 1).status == "pending"
    assert office.world.sms.sent == []


async def test_who_loses_the_race_for_the_first_place_signs_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sign as the first; whoever comes second signs again by themselves, beside the one who was."""
    finn, world = of_two(office), office.world
    outreach = await planned(office)
    loop, real, priors = asyncio.get_running_loop(), submitting.sign, []

    def sign(document: OutreachDecision, key: Path) -> DecisionEnvelope:
        priors.append(document.prior)
        if len(priors) == 1:
            first = world.outreaches.revision(outreach, 1).proposal.decide("approve", "finn", document.issued_at)
            given = world.client.submit(outreach, real(first, finn.key))
            assert asyncio.run_coroutine_threadsafe(given, loop).result(60).accepted
        return real(document, key)

    monkeypatch.setattr(submitting, "sign", sign)
    done = await approve(office, outreach, office.eve)
    assert (done.code, "signing again, beside the first approval" in done.err) == (0, True)
    assert [bool(prior) for prior in priors] == [False, True]
    kept = [(d.approver, d.accepted, d.code) for d in world.decisions.received(outreach)]
    assert kept == [("finn", True, ""), ("eve", False, "wrong_prior"), ("eve", True, "")]
    await office.until(lambda: len(world.sms.sent) == 1)


async def test_revoked_first_key_leaves_the_second_as_the_first(office: Office) -> None:
    finn = of_two(office)
    gil = make_approver(office.world.folder, "gil")
    outreach = await planned(office)
    assert (await approve(office, outreach, office.eve)).code == 0
    register(office.world.registry, office.eve, finn, gil)
    text = office.world.registry.read_text()
    mine = f'key = "{office.eve.line}"\n'
    office.world.registry.write_text(text.replace(mine, f"{mine}revoked = 2020-01-01T00:00:00Z\n"))
    assert "0 of 2 approvals" in (await office.run("show", outreach)).out
    second = await approve(office, outreach, finn)
    assert "1 of 2 approvals" in second.out
    assert office.world.sms.sent == []
    third = await approve(office, outreach, gil, "--json")
    assert third.document["status"] == "approved"
    await office.until(lambda: len(office.world.sms.sent) == 1)


async def test_quorum_and_tripwire_take_three(office: Office) -> None:
    finn = of_two(office)
    office.world.override("late_delivery", {"quorum = 2": "quorum = 2\ntripwire = 2"})
    gil = make_approver(office.world.folder, "gil")
    register(office.world.registry, office.eve, finn, gil)
    outreach = await planned(office, "o-1", "o-2", "o-3")
    assert office.world.outreaches.revision(outreach, 1).plan.needed == 3
    for who in (office.eve, finn):
        assert (await approve(office, outreach, who, "--count", "3", "--json")).document["status"] == "pending"
    assert office.world.sms.sent == []
    assert (await approve(office, outreach, gil, "--count", "3", "--json")).document["status"] == "approved"


async def test_second_approval_left_twice_is_heard_of(office: Office) -> None:
    """A worker that dies after recording it judges it again: the outreach must still hear that both agreed."""
    world, finn = office.world, of_two(office)
    outreach = await planned(office)
    assert (await approve(office, outreach, office.eve)).code == 0
    assert (await approve(office, outreach, finn)).code == 0
    handle = world.env.client.get_workflow_handle(outreach)
    for record in world.decisions.received(outreach):
        again = await handle.execute_update("submit_decision", DecisionEnvelope.model_validate(record.envelope))
        assert (again["accepted"], again["status"]) == (True, "approved"), again
