"""Forgetting a customer, and the audit log as `verify` reads it, in a running installation."""

from typing import Any

from sqlalchemy import text

from tellfirst.contract import Stage
from tellfirst.store.chain import Chain
from tests.cli.conftest import Office, Shell
from tests.cli.test_exceptions import ask, outreach, sign


def change(office: Office, statement: str, **values: object) -> None:
    assert office.world.app is not None
    with office.world.app.database.write() as session:
        assert session.connection().execute(text(statement), values).rowcount > 0


def one(office: Office, statement: str) -> Any:
    assert office.world.app is not None
    with office.world.app.database.read() as session:
        return session.connection().execute(text(statement)).mappings().one()


async def told(office: Office) -> str:
    for number in (1, 2, 3):
        office.world.customer(f"c-{number}")
    handle = await office.world.start(office.world.late("o-1", "o-2", "o-3"))
    await office.approve(handle.id)
    await office.world.until(lambda: office.world.sends.tally(handle.id).accepted == 3)
    await office.world.stage(handle, Stage.AWAITING_WINDOW)
    return handle.id


async def test_a_customer_is_forgotten_and_every_promise_still_verifies(office: Office) -> None:
    outreach = await told(office)
    done = await office.run("customers", "forget", "c-2", "--yes", "--as", "ana", "--json")
    assert done.code == 0
    assert done.document["rows"] == 1
    assert (await office.run("verify")).code == 0
    assert (await office.run("customers", "forget", "c-2", "--yes")).code == 1
    assert (await office.run("show", outreach)).code == 0


async def test_an_answer_to_an_exception_stays_authorised_when_its_customer_is_forgotten(office: Office) -> None:
    request = f"{office.world.key}-x"
    await ask(office, await outreach(office), "50.00", request)
    assert (await sign(office, "approve", request, office.eve))[0] == 0
    await office.until(lambda: any(request in m.rendered.body for m in office.world.sms.sent))
    await office.until(lambda: one(office, "SELECT state FROM sends")["state"] == "accepted")
    assert (await office.run("customers", "forget", "c-1", "--yes")).code == 0
    assert (await office.run("verify", "--json")).document["unauthorised"] == 0
    # Only a name that an entry of the log tells of stands for somebody else.
    change(office, "UPDATE sends SET customer_id = 'forgotten-by-nobody'")
    change(office, "UPDATE exceptions SET customer_id = 'forgotten-by-nobody'")
    assert (await office.run("verify", "--json")).document["unauthorised"] == 1


async def test_who_did_what_stands_in_the_audit_log(office: Office) -> None:
    outreach = await told(office)
    await office.run("pause", outreach, "--as", "ana")
    await office.run("pause", "--all", "--as", "eve@example.com")
    assert office.world.app is not None
    chain = Chain(office.world.app.database)
    await office.until(lambda: {"pause", "switch_on"} <= {one.kind for one in chain.entries()})
    entries = {one.kind: one for one in chain.entries()}
    assert set(entries) >= {"library", "registry", "decision"}
    assert (entries["decision"].about, entries["decision"].actor) == (outreach, "eve")
    assert len(entries["decision"].document) == 64
    assert (entries["pause"].about, entries["pause"].actor) == (outreach, "ana")
    assert (entries["switch_on"].about, entries["switch_on"].actor) == ("pause-all", "")  # an address is left out
    assert (await office.run("verify")).code == 0


async def test_what_was_done_to_the_record_is_told(office: Office) -> None:
    await told(office)
    change(office, "UPDATE audit SET actor = 'somebody' WHERE kind = 'decision'")
    done = await office.run("verify", "--json")
    assert (done.code, done.document["audit_ok"]) == (1, False)
    assert any("not as it was written" in sentence for sentence in done.document["promises_broken"])


async def test_a_decision_without_its_entry_and_one_that_was_changed_are_told(office: Office) -> None:
    outreach = await told(office)
    columns = "about, revision, decision, approver, fingerprint, accepted, code, envelope, received_at"
    change(office, f"INSERT INTO decisions ({columns}) SELECT {columns} FROM decisions")
    change(office, "UPDATE decisions SET approver = 'somebody' WHERE id = 1")
    done = await office.run("verify", "--json")
    assert done.document["audit_ok"] is False
    assert set(done.document["promises_broken"]) >= {
        "audit log: 1 decision changed since the entry was written",
        "audit log: 1 decision in the database without an entry",
    }
    change(office, "DELETE FROM decisions WHERE about = :about", about=outreach)
    told_again = (await office.run("verify", "--json")).document["promises_broken"]
    assert "audit log: 1 decision in the log but no longer in the database" in told_again


async def test_nobody_who_was_forgotten_is_written_to_whatever_the_database_says(office: Office) -> None:
    """The leaf stands in for what was signed: a row given other words and an address again must not leave."""
    world = office.world
    for number in (1, 2):
        world.customer(f"c-{number}")
    handle = await world.start(world.late("o-1", "o-2"))
    await world.planned(handle.id)
    was = one(office, "SELECT r.*, p.address FROM recipients r JOIN contact_points p USING (customer_id) LIMIT 1")
    done = await office.run("customers", "forget", was["customer_id"], "--yes", "--json")
    alias = done.document["forgotten"]
    change(
        office,
        "UPDATE recipients SET facts = :facts, timezone = :zone, address_digest = :address, content_digest = :content,"
        " withheld = NULL WHERE id = :id",
        facts=was["facts"],
        zone=was["timezone"],
        address=was["address_digest"],
        content=was["content_digest"],
        id=was["id"],
    )
    change(
        office,
        "INSERT INTO contact_points (customer_id, channel, address, usable) VALUES (:id, 'sms', :address, true)",
        id=alias,
        address=was["address"],
    )
    assert (await office.approve(handle.id)).code == 0
    await world.stage(handle, Stage.AWAITING_WINDOW)
    assert was["address"] not in [message.address for message in world.sms.sent]
    assert len(world.sms.sent) == 1


def test_a_stranger_is_not_forgotten(shell: Shell) -> None:
    done = shell("customers", "forget", "nobody", "--yes")
    assert (done.code, done.err) == (
        1,
        "nothing is known of that customer; give the id as it was imported\n",
    )
    assert shell("customers", "forget", "nobody", stdin="n\n").code == 2
