"""Sending under everything that can get in the way: each message at most once, each only while it may."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta

from sqlmodel import select, update

from tellfirst.contract import Stage
from tellfirst.domain.message import AnswerKind
from tellfirst.measurement.grades import BROKEN_RATIO
from tellfirst.measurement.srm import sample_ratio_p
from tellfirst.signing.audience import page_digest, root
from tellfirst.signing.leaves import leaf_of
from tellfirst.store.consents import Consents
from tellfirst.store.contacts import Contact
from tellfirst.store.rows import read_recipient
from tellfirst.store.tables import ContactPointRow, PageRow, RecipientRow, RevisionRow, SendRow
from tests.world import FAR, World


def subjects(count: int) -> list[str]:
    return [f"o-{n}" for n in range(count)]


def people(world: World, count: int) -> list[str]:
    for n in range(count):
        world.customer(f"c-{n}", addresses={"sms": f"+1415{n:07d}"})
    return subjects(count)


def states(world: World, outreach: str) -> dict[str, int]:
    found: dict[str, int] = {}
    with world.app.database.read() as session:
        for state in session.exec(select(SendRow.state).where(SendRow.outreach_id == outreach)):
            found[state] = found.get(state, 0) + 1
    return found


async def test_controls_get_nothing_and_are_measured(world: World) -> None:
    world.hold_out(0.5)
    handle = await world.start(world.late(*people(world, 200)))
    await world.approve(handle.id)
    arms = {}
    await world.until(lambda: sum(world.sends.tally(handle.id).model_dump().values()) > 0)
    await world.stage(handle, Stage.AWAITING_WINDOW)
    arms = world.recipients.arms(handle.id)
    assert arms["treated"] + arms["control"] == 200
    assert len(world.sms.sent) == arms["treated"] < 140
    now = datetime.now(UTC)
    with world.app.database.read() as session:
        rows = session.exec(select(RecipientRow).where(RecipientRow.outreach_id == handle.id)).all()
    told = {m.address for m in world.sms.sent}
    control = [r for r in rows if r.arm == "control"]
    assert not told & {f"+1415{int(r.customer_id[2:]):07d}" for r in control}
    contacts = [
        Contact(id=f"k-{r.id}", customer=r.customer_id, reason_code="where_is_my_order", occurred_at=r.t0)
        for r in control[:40]
    ]
    world.contacts.save(contacts, source="helpdesk", through=FAR, now=now)
    result = await world.finish(handle)
    # One draw in a thousand does not look like chance, and its number is withheld.
    unlucky = sample_ratio_p(arms["treated"], arms["control"], 0.5) < BROKEN_RATIO
    assert (result.ending, result.grade) == ("measured", "X" if unlucky else "A"), arms
    lines = {line.arm: line for line in world.outcomes.report()}
    assert lines["control"].contacted == 40
    assert lines["treated"].contacted == 0
    assert lines["treated"].difference == (None if unlucky else -40 / arms["control"])


async def test_what_stays_ambiguous_is_asked_about_and_then_held(world: World) -> None:
    world.sms.answers = [AnswerKind.AMBIGUOUS] * 2
    handle = await world.start(world.late(*people(world, 6)))
    await world.approve(handle.id)
    await world.until(lambda: states(world, handle.id) == {"accepted": 4, "intent": 2})
    in_doubt = world.sms.sent[:2]
    world.sms.knows[in_doubt[0].send_id] = "p-found"
    await world.pass_time(handle, seconds=30)
    await world.until(lambda: states(world, handle.id).get("unknown") == 1)
    assert "intent" not in states(world, handle.id)
    assert len({m.send_id for m in world.sms.sent}) == len(world.sms.sent), "nothing was sent again"
    await world.until(lambda: "unknown_sends" in [n.kind for n in world.notices.of(handle.id)])


async def test_a_proof_that_is_another_messages_leaves_the_send_unknown(world: World) -> None:
    world.sms.answers = [AnswerKind.ACCEPTED, AnswerKind.AMBIGUOUS]
    world.sms.in_flight = 1
    handle = await world.start(world.late(*people(world, 6)))
    await world.approve(handle.id)
    await world.until(lambda: states(world, handle.id) == {"accepted": 5, "intent": 1})
    settled, in_doubt = world.sms.sent[:2]
    world.sms.knows[in_doubt.send_id] = f"p-{settled.send_id}"
    await world.pass_time(handle, seconds=30)
    await world.until(lambda: states(world, handle.id).get("unknown") == 1)
    assert "intent" not in states(world, handle.id)


async def test_however_many_are_in_doubt_each_is_asked_about(world: World) -> None:
    """One list of them holds 500."""
    world.sms.answers, world.sms.in_flight = [AnswerKind.AMBIGUOUS] * 520, 100
    handle = await world.start(world.late(*people(world, 520)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 520)  # each has its intent before its request
    for message in world.sms.sent[:519]:
        world.sms.knows[message.send_id] = f"p-{message.send_id}"
    await world.pass_time(handle, seconds=30)
    await world.until(lambda: states(world, handle.id) == {"accepted": 519, "unknown": 1}, seconds=60)


async def test_a_provider_block_stops_the_outreach_until_it_is_resumed(world: World) -> None:
    world.sms.in_flight = 2
    world.sms.answers = [AnswerKind.ACCEPTED, AnswerKind.POLICY_BLOCK]
    handle = await world.start(world.late(*people(world, 8)))
    await world.approve(handle.id)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert len(world.sms.sent) == 1
    assert "provider_block" in (await world.client.view(handle.id)).details
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: states(world, handle.id) == {"accepted": 7, "failed": 1})
    assert len(world.sms.sent) == 7


async def test_a_wrong_account_halts_the_channel_and_loses_nobody(world: World) -> None:
    world.sms.answers = [AnswerKind.CONFIGURATION]
    handle = await world.start(world.late(*people(world, 1)))
    await world.approve(handle.id)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert [c.name for c in world.controls.on()] == ["channel:sms"]
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: states(world, handle.id) == {"accepted": 1})
    assert not world.controls.on()


async def test_throttling_waits_and_repeats_only_what_was_not_processed(world: World) -> None:
    world.sms.answers = [AnswerKind.ACCEPTED, AnswerKind.NOT_SENT, AnswerKind.ACCEPTED]
    handle = await world.start(world.late(*people(world, 3)))
    await world.approve(handle.id)
    await world.until(lambda: states(world, handle.id) == {"accepted": 3})
    assert len(world.sms.sent) == 3


async def test_an_opt_out_the_provider_knows_is_kept_for_every_later_step(world: World) -> None:
    world.sms.answers = [AnswerKind.OPTED_OUT]
    handle = await world.start(world.late(*people(world, 2)))
    await world.approve(handle.id)
    await world.until(lambda: states(world, handle.id) == {"accepted": 1, "failed": 1})
    consents = world.customers.resolve(["c-0", "c-1"])
    assert sum(not c.allowed for person in consents.values() for c in person.consents) == 1


async def test_opt_out_after_approval_is_obeyed(world: World) -> None:
    handle = await world.start(world.late(*people(world, 2)))
    await world.planned(handle.id)
    approval = world.envelope(handle.id)
    Consents(world.app.database).opt_out(["c-0"], channel="", at=datetime.now(UTC), source="web")
    await world.client.submit(handle.id, approval)
    await world.until(lambda: states(world, handle.id) == {"accepted": 1, "withheld": 1})
    assert world.sms.sent[0].address == "+14150000001"


async def test_opt_out_after_the_first_message_ends_the_updates(world: World) -> None:
    handle = await world.start(world.late(*people(world, 1)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    Consents(world.app.database, everything=False).opt_out(["c-0"], channel="sms", at=datetime.now(UTC), source="web")
    await world.pass_time(handle, days=3)
    assert len(world.sms.sent) == 1
    assert states(world, handle.id) == {"accepted": 1, "withheld": 1}


async def test_a_changed_address_is_not_the_approved_one(world: World) -> None:
    handle = await world.start(world.late(*people(world, 1)))
    await world.planned(handle.id)
    approval = world.envelope(handle.id)
    with world.app.database.write() as session:
        session.execute(update(ContactPointRow).values(address="+14159999999"))
    await world.client.submit(handle.id, approval)
    await world.until(lambda: states(world, handle.id) == {"withheld": 1})
    assert not world.sms.sent


async def test_rows_edited_after_approval_stop_the_page(world: World) -> None:
    handle = await world.start(world.late(*people(world, 1)))
    await world.planned(handle.id)
    approval = world.envelope(handle.id)
    with world.app.database.write() as session:
        session.execute(update(RecipientRow).values(facts={"order_id": "o-666", "promised_at": "2026-11-20"}))
    await world.client.submit(handle.id, approval)
    await world.stage(handle, Stage.NEEDS_ATTENTION)
    assert "page_changed" in (await world.client.view(handle.id)).details
    assert not world.sms.sent


async def test_what_reads_otherwise_than_it_was_signed_does_not_leave(world: World) -> None:
    handle = await world.start(world.late(*people(world, 1)))
    await world.planned(handle.id)
    with world.app.database.write() as session:  # as of a text that was made by another version of the code
        row, page = session.exec(select(RecipientRow)).one(), session.exec(select(PageRow)).one()
        row.content_digest = "0" * 64
        page.digest = page_digest([leaf_of(read_recipient(row), row.content_digest)])
        revision = session.exec(select(RevisionRow)).one()
        revision.proposal = {**(revision.proposal or {}), "audience_root": root([page.digest])}
        session.add_all([row, page, revision])
    await world.approve(handle.id)
    await world.until(lambda: world.sends.tally(handle.id).withheld == 1)
    assert [one.reason for one in world.sends.states(handle.id)] == ["content_changed"]
    assert not world.sms.sent


async def test_a_key_revoked_after_approval_stops_the_update(world: World) -> None:
    handle = await world.start(world.late(*people(world, 1)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    text = world.registry.read_text()
    world.registry.write_text(text.replace("[[people.keys]]\n", "[[people.keys]]\nrevoked = 2020-01-01T00:00:00Z\n", 1))
    await world.pass_time(handle, days=3)
    await world.stuck(handle)
    assert "key_revoked" in (await world.client.view(handle.id)).details
    assert len(world.sms.sent) == 1
    second = await world.client.submit(handle.id, world.envelope(handle.id, signer=world.ben, approver="ben"))
    assert second.accepted, "another person may stand in"


async def test_pause_holds_and_resume_sends_the_rest_once(world: World) -> None:
    world.sms.in_flight = 1
    gate = asyncio.Event()
    world.sms.wait_after = (5, gate)
    handle = await world.start(world.late(*people(world, 30)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 5)
    await world.client.pause(handle.id, paused=True)
    await world.until(lambda: world.outreaches.get(handle.id).paused)
    gate.set()
    await world.stage(handle, Stage.PAUSED)
    await world.until(lambda: not world.sms.busy)
    assert len(world.sms.sent) <= 6, "one micro-batch at most"
    await world.client.pause(handle.id, paused=False)
    await world.until(lambda: len(world.sms.sent) == 30)
    assert len({m.address for m in world.sms.sent}) == 30


async def test_pause_all_holds_every_outreach_and_goes_on_afterwards(world: World) -> None:
    world.controls.turn_on("pause-all", "drill", by="ana", at=datetime.now(UTC))
    handle = await world.start(world.late(*people(world, 3)))
    await world.approve(handle.id)
    await world.until(lambda: states(world, handle.id) == {"planned": 3})
    assert not world.sms.sent
    world.controls.turn_off("pause-all", by="ana", at=datetime.now(UTC))
    await world.pass_time(handle, minutes=1)
    await world.until(lambda: states(world, handle.id) == {"accepted": 3})


async def test_the_frequency_cap_counts_outreaches_not_messages(world: World) -> None:
    world.override("late_delivery", {'urgency = "normal"': 'urgency = "urgent"'})  # the others wait for an hour
    people(world, 1)
    for n in range(4):
        handle = await world.start(world.late(f"o-{0}", key=f"{world.key}-{n}"))
        await world.approve(handle.id)
        if n < 3:
            await world.until(lambda n=n: len(world.sms.sent) == n + 1)
    result = await world.finish(handle)
    assert (result.ending, result.reason) == ("nothing_to_do", "nobody_left_to_tell")
    assert len(world.sms.sent) == 3


async def test_a_customer_with_several_subjects_gets_one_message_that_counts_the_others(world: World) -> None:
    world.customer("c-1")
    condition = world.late("o-1", "o-2", "o-3")
    everything = tuple(s.model_copy(update={"customer": "c-1"}) for s in condition.subjects)
    handle = await world.start(condition.model_copy(update={"subjects": everything}))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 1)
    assert "2 more" in world.sms.sent[0].rendered.body


async def test_a_stopping_worker_hands_its_page_to_the_next(world: World) -> None:
    world.sms.in_flight = 1
    gate = asyncio.Event()
    world.sms.wait_after = (5, gate)
    handle = await world.start(world.late(*people(world, 20)))
    await world.approve(handle.id)
    await world.until(lambda: len(world.sms.sent) == 5)
    stopping = asyncio.create_task(world.rest())
    await asyncio.sleep(0)
    gate.set()
    await stopping
    sent = len(world.sms.sent)
    assert sent < 20
    await world.work()
    await world.until(lambda: len(world.sms.sent) == 20)
    assert len({m.address for m in world.sms.sent}) == 20


async def test_a_page_whose_provider_takes_its_time_says_that_it_is_not_dead(world: World) -> None:
    gate = asyncio.Event()
    world.sms.wait_after = (0, gate)
    handle = await world.start(world.late(*people(world, 3)))
    await world.approve(handle.id)
    await world.until(lambda: world.sms.busy)
    heard: set[datetime] = set()
    async with asyncio.timeout(30):
        while len(heard) < 3:
            pending = (await handle.describe()).raw_description.pending_activities
            heard |= {one.last_heartbeat_time.ToDatetime() for one in pending}
            assert {one.attempt for one in pending} == {1}, "whose silence was noticed was begun anew"
    gate.set()
    await world.until(lambda: len(world.sms.sent) == 3)


async def test_the_source_is_looked_at_before_sending_and_at_the_promise(world: World) -> None:
    orders = world.folder / "orders.db"
    now = datetime.now(UTC)
    with sqlite3.connect(orders) as connection:
        connection.execute("CREATE TABLE orders(order_id, customer_id, status, placed_at, promised_at, delivered_at)")
        for n in range(3):
            connection.execute(
                "INSERT INTO orders VALUES (?, ?, 'shipped', ?, ?, NULL)",
                (f"o-{n}", f"c-{n}", (now - timedelta(days=9)).isoformat(), (now - timedelta(days=2)).isoformat()),
            )
    await world.with_source(f"sqlite:///{orders}")
    handle = await world.start(world.late(*people(world, 3)))
    await world.planned(handle.id)
    approval = world.envelope(handle.id)
    arrived = "UPDATE orders SET delivered_at = ?, status = 'delivered' WHERE order_id = ?"
    with sqlite3.connect(orders) as connection:
        connection.execute(arrived, ((now - timedelta(hours=1)).isoformat(), "o-0"))
    await world.client.submit(handle.id, approval)
    await world.until(lambda: states(world, handle.id) == {"accepted": 2, "withheld": 1})
    with sqlite3.connect(orders) as connection:
        connection.execute(arrived, ((now - timedelta(hours=1)).isoformat(), "o-1"))
    await world.pass_time(handle, days=2, hours=1)
    await world.until(lambda: len(world.sms.sent) == 4)
    bodies = {m.address: m.rendered.body for m in world.sms.sent[2:]}
    assert "arrived" in bodies["+14150000001"], "told that it is over"
    assert "still" in bodies["+14150000002"], "updated as promised"
    scheduled = [event.get("activityTaskScheduledEventAttributes") for event in (await world.history(handle))["events"]]
    assert "look" in {one["activityType"]["name"] for one in scheduled if one}, "never inside a workflow task"


async def test_an_opt_out_is_kept_even_when_the_answer_cannot_be_recorded(world: World) -> None:
    world.sms.answers = [AnswerKind.OPTED_OUT]
    failing = "CREATE TRIGGER no BEFORE UPDATE ON sends WHEN NEW.state = 'failed' BEGIN SELECT RAISE(ABORT, 'no'); END"
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        database.execute(failing)
    handle = await world.start(world.late(*people(world, 1)))
    await world.approve(handle.id)
    await world.until(lambda: any(not c.allowed for c in world.customers.resolve(["c-0"])["c-0"].consents))
    assert states(world, handle.id) == {"intent": 1}
