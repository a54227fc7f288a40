"""Who asked for an outreach and who wrote its playbook's version never count among those who approve it."""

from datetime import timedelta
from pathlib import Path

from tellfirst.contract import DecisionAnswer, library_id
from tellfirst.signing.kinds import decide
from tests.signing.make import envelope
from tests.workflows.test_library import Librarians
from tests.world import World


async def give(world: World, outreach: str, name: str) -> DecisionAnswer:
    signer = {"ana": world.ana, "ben": world.ben}[name]
    return await world.client.submit(outreach, world.envelope(outreach, signer=signer, approver=name))


async def test_who_asked_for_it_does_not_approve_it_and_another_does(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1").model_copy(update={"proposer": "ana"}))
    await world.planned(handle.id)
    answer = await give(world, handle.id, "ana")
    assert (answer.accepted, answer.code) == (False, "own_proposal")
    assert world.sms.sent == []
    assert (await give(world, handle.id, "ben")).accepted
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_what_a_sweep_found_was_asked_for_by_nobody(world: World) -> None:
    world.customer("c-1")
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    record = world.outreaches.revision(handle.id, 1)
    assert record is not None
    assert (record.proposal.proposer, record.proposal.editor) == ("", "")
    assert (await give(world, handle.id, "ana")).accepted


async def test_who_proposed_the_playbook_version_does_not_approve_its_outreaches(world: World) -> None:
    librarians = Librarians(world)
    await world.with_settings()
    world.customer("c-1")
    loaded = world.library["late_delivery"]
    about = await librarians.propose(loaded, proposer="ana")
    for name in ("lia", "prue"):
        if librarians.matter(about).status == "pending":
            prior = librarians.last if name == "prue" else ""
            assert (await librarians.give(about, name, prior=prior)).accepted
    assert about == library_id("late_delivery", loaded.version)
    handle = await world.start(world.late("o-1"))
    await world.planned(handle.id)
    record = world.outreaches.revision(handle.id, 1)
    assert record is not None
    assert record.proposal.editor == "ana"
    assert (await give(world, handle.id, "ana")).code == "own_proposal"
    assert (await give(world, handle.id, "ben")).accepted
    await world.until(lambda: len(world.sms.sent) == 1)


async def test_a_proposer_wiped_out_of_the_row_does_not_make_their_approval_count(world: World) -> None:
    """What they sign then differs from what the plan binds, or their name stands in it."""
    world.customer("c-1")
    handle = await world.start(world.late("o-1").model_copy(update={"proposer": "ana"}))
    await world.planned(handle.id)
    before = world.outreaches.revision(handle.id, 1)
    assert before is not None
    wiped = before.proposal.model_copy(update={"proposer": ""})
    document = decide(wiped, "approve", "ana", before.plan.planned_at).document()
    assert (await world.client.submit(handle.id, envelope(world.ana, document))).code == "stale_content"


async def test_the_cost_of_everything_promised_is_bound_and_an_edited_one_is_not_approved(
    world: World, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "EUR"\n[each]\nsms = 0.01\n')
    await world.with_settings(prices=prices)
    for ref in ("c-1", "c-2"):
        world.customer(ref)
    handle = await world.start(world.late("o-1", "o-2"))
    await world.planned(handle.id)
    record = world.outreaches.revision(handle.id, 1)
    assert record is not None
    steps = len(world.library["late_delivery"].playbook.steps)
    assert record.proposal.currency == "EUR"
    assert record.proposal.cost_micros >= 2 * steps * 10_000
    assert record.proposal.cost_micros % 20_000 == 0
    signed = world.envelope(handle.id)
    assert world.app is not None

    def amount(micros: int) -> None:
        assert world.app is not None
        with world.app.database.write() as session:
            session.connection().exec_driver_sql(
                "UPDATE revisions SET proposal = json_set(proposal, '$.cost_micros', ?)", (micros,)
            )

    amount(1)
    assert (await world.client.submit(handle.id, signed)).code == "stale_content"
    assert world.sms.sent == []
    amount(record.proposal.cost_micros)
    # A price that changes after signing changes nothing that was signed.
    prices.write_text('currency = "EUR"\n[each]\nsms = 9.99\n')
    await world.with_settings(prices=prices)
    again = world.envelope(handle.id, issued_at=record.plan.planned_at + timedelta(seconds=1))
    assert (await world.client.submit(handle.id, again)).accepted
    await world.until(lambda: len(world.sms.sent) == 2)
