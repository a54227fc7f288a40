"""Whoever writes to the effect log, or starts the dispatch by hand, tells nobody twice and nobody else."""

import asyncio
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tellfirst.domain.message import Channel
from tests.attacks.conftest import ROWS, Approved, sql
from tests.figures import Told


async def test_sends_that_point_at_people_nobody_approved(approved: Approved, told: Told) -> None:
    """A row of the effect log under an approved page, for a recipient who stands on no approved page."""
    insert = (
        "INSERT INTO sends (id, outreach_id, revision, recipient_id, customer_id, step, channel, page, state, reason,"
        " token, attempts, nonce, adapter, provider_id, body_digest) SELECT 'forged', ?, 1, id, customer_id, 'initial',"
        " 'sms', 0, 'planned', '', 0, 0, '', '', '', '' FROM recipients WHERE customer_id = 'c-7'"
    )
    reserve = (
        "INSERT INTO reservations (customer_id, outreach_id, at, urgency)"
        " SELECT 'c-7', ?, at, urgency FROM reservations LIMIT 1"
    )
    codes = []
    for more in ([], [("UPDATE recipients SET facts = ? WHERE customer_id = 'c-7'", ('{"order_id": "x"}',))]):

        def change(database: sqlite3.Connection, more: Any = more) -> None:
            for statement, values in [(insert, (approved.id,)), (reserve, (approved.id,)), *more]:
                assert database.execute(statement, values).rowcount > 0

        with approved.database() as database:
            change(database)
        approved.world.sms.sent.clear()
        await approved.dispatch()
        left = {message.send_id for message in approved.world.sms.sent}
        assert len(left) in (ROWS, ROWS + 1), "those who were approved are told"
        codes.append("" if "forged" in left else approved.value("SELECT reason FROM sends WHERE id = 'forged'"))
        approved.restore()
    told("sends to people nobody approved", codes, 0)


async def test_rows_changed_while_their_page_is_leaving(approved: Approved, told: Told) -> None:
    """The page is held against the root once; what is read for each micro-batch has to be the same rows still."""
    told("rows changed while their page is leaving", await _changed_meanwhile(approved), 0)


async def test_rows_changed_while_an_update_for_them_is_leaving(approved: Approved, told: Told) -> None:
    """Of what follows the first message no text was signed: the row is all that says what a customer reads."""
    record = approved.world.outreaches.revision(approved.id, 1)
    assert record is not None
    [update] = record.plan.updates
    await approved.dispatch()
    with approved.database() as database:
        database.backup(approved.saved)
    codes = await _changed_meanwhile(approved, step=update.id, at=update.act_at)
    told("rows changed while an update for them is leaving", codes, 0)


async def _changed_meanwhile(approved: Approved, **request: Any) -> list[str]:
    """Returns the reasons for which the last row of a page did not leave, an empty one where it did."""
    world, codes = approved.world, []
    last = approved.value("SELECT max(position) FROM recipients WHERE outreach_id = ?", approved.id)
    for column, value in {
        "facts": '{"order_id": "o-3", "promised_at": "2020-01-01"}',
        "customer_id": "c-7",
        "address_digest": approved.value("SELECT address_digest FROM recipients WHERE customer_id = 'c-7'"),
        "timezone": "Asia/Tokyo",
        "locale": "de",
        "others": 7,
    }.items():
        world.sms.sent.clear()
        world.sms.in_flight = 1
        gate = asyncio.Event()
        world.sms.wait_after = (0, gate)
        running = asyncio.create_task(approved.dispatch(**request))
        while not world.sms.busy:
            await asyncio.sleep(0.01)
        with approved.database() as database:
            sql(f"UPDATE recipients SET {column} = ? WHERE outreach_id = ? AND position = ?", value, approved.id, last)(
                database
            )
        gate.set()
        await running
        world.sms.wait_after = None
        codes.append("" if len(world.sms.sent) == ROWS else approved.value(
            "SELECT reason FROM sends JOIN recipients ON recipients.id = recipient_id WHERE position = ?"
            " AND sends.outreach_id = ? AND step = ?", last, approved.id, request.get("step", "initial")))  # fmt: skip
        approved.restore()
    return codes


async def test_a_page_asked_for_on_another_channel_is_sent_once(approved: Approved, told: Told) -> None:
    """Whoever reaches Temporal can ask for any page on any channel, also while it waits."""
    world, codes = approved.world, []
    others: tuple[Channel, ...] = ("email", "in_app")
    for channel in others:
        await approved.held(channel=channel)
    await approved.held()
    for channel in others:
        codes.append((await approved.dispatch(channel=channel)).halted)
    assert [*world.sms.sent, *world.email.sent, *world.in_app.sent] == []
    assert (await approved.dispatch()).accepted == ROWS
    assert len({message.address for message in world.sms.sent}) == len(world.sms.sent) == ROWS
    told("a page on another channel", codes, 0)


async def test_a_planned_send_made_anothers(approved: Approved, told: Told) -> None:
    """The effect log says who is told once, not where: neither a second row nor another name sends anything more."""
    names = [row[1] for row in approved.saved.execute("PRAGMA table_info(sends)") if row[1] not in ("id", "channel")]
    copied = (
        f"INSERT INTO sends (id, channel, {', '.join(names)}) SELECT 'forged', 'email', {', '.join(names)} FROM sends"
    )
    codes = []
    for change in (
        sql("UPDATE sends SET customer_id = 'c-0' WHERE customer_id = 'c-1'"),
        sql(f"{copied} WHERE customer_id = 'c-1'"),
    ):
        approved.world.sms.sent.clear()
        await approved.held()
        with approved.database() as database:
            change(database)
        await approved.dispatch()
        told_at = sorted(message.address for message in approved.world.sms.sent)
        codes += ["sent_to_whom_it_was_signed" if told_at == [f"+1415{n:07d}" for n in range(ROWS)] else ""]
        approved.restore()
    told("a planned send made another's", codes, 0)


async def test_news_before_its_time(approved: Approved, told: Told) -> None:
    """Customers read by when they hear more: nobody who starts the activity by hand sends it at once instead."""
    await approved.dispatch()
    approved.world.sms.sent.clear()
    codes = [(await approved.dispatch("update-1")).halted for _ in range(2)]
    told("an update before its time", codes, len(approved.world.sms.sent))
    assert codes == ["too_early"] * 2


async def test_pages_that_count_from_the_end(approved: Approved, told: Told) -> None:
    """A page below the first is none of the first few, though the last digest is its own."""
    with approved.database() as database:
        sql("UPDATE recipients SET page = -1 WHERE outreach_id = ?", approved.id)(database)
    halted = (await approved.dispatch(page=-1)).halted
    told("pages that count from the end", [halted], len(approved.world.sms.sent))


async def test_a_page_that_waits_for_its_turn_is_judged_by_the_time_at_which_it_has_come(approved: Approved) -> None:
    assert approved.world.app is not None
    started = datetime.now(UTC)
    with approved.world.app.dispatch._turns.taken():
        dispatching = asyncio.create_task(approved.dispatch(at=started))
        await asyncio.sleep(0)
        time.sleep(0.5)
    assert (await dispatching).accepted == ROWS
    intended = approved.value("SELECT min(intent_at) FROM sends WHERE outreach_id = ?", approved.id)
    assert datetime.fromisoformat(intended).replace(tzinfo=UTC) - started >= timedelta(seconds=0.5)
