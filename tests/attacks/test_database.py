"""Whoever writes to the database after the approval sends nothing: the real dispatch, with a provider that counts.

The outreach is planned, approved and sent on a real Temporal server; then what was sent is taken out of the effect log.
Each attack changes the database, lets the dispatch activity run again, and everything is put back.
"""

import json
import sqlite3
from datetime import datetime, timedelta
from typing import Any

from tests.attacks.conftest import ROWS, Approved, Change, sql
from tests.attacks.mutations import of_value, places, put
from tests.figures import Told
from tests.signing.make import ed25519, envelope


def test_counts_of_both_worlds() -> None:
    """Says that a change of nothing is no attack."""
    try:
        sql("UPDATE t SET a = 1 WHERE 0")(_memory())
    except AssertionError:
        return
    raise AssertionError("it went through")


def _memory() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t (a)")
    return database


async def test_without_an_attack_everybody_is_told(approved: Approved) -> None:
    """The control: the same dispatch sends to all."""
    report = await approved.dispatch()
    assert (report.accepted, report.halted, len(approved.world.sms.sent)) == (ROWS, "", ROWS)


async def test_a_row_of_the_audience_changed(approved: Approved, told: Told) -> None:
    first = "outreach_id = ? AND position = (SELECT min(position) FROM recipients WHERE outreach_id = ?)"
    here = (approved.id, approved.id)
    digests = {
        column: approved.value(f"SELECT {column} FROM recipients WHERE customer_id = 'c-7'")
        for column in ("address_digest", "content_digest")
    }
    for column, values in {
        "customer_id": ("c-1", "c-7", "nobody"),
        "subject_key": ("o-1", "o-7", "x"),
        "channel": ("email", "in_app"),
        "locale": ("de", "en_GB", "en "),
        "timezone": ("Asia/Tokyo", "UTC", "", None),
        "others": (1, 7),
        "address_digest": ("00" * 32, digests["address_digest"]),
        "content_digest": ("00" * 32, digests["content_digest"]),
        "leaf": ("00" * 32, "x"),
        "page": (1, None, 7),
        "revision": (2, 0),
        "position": (99,),  # the order counts
    }.items():
        codes = [
            code
            for value in values
            for code in await approved.run(sql(f"UPDATE recipients SET {column} = ? WHERE {first}", value, *here))
        ]
        told(f"a row's {column}", codes, 0)
    facts = json.loads(approved.value(f"SELECT facts FROM recipients WHERE {first}", *here))
    codes = []
    for path in places(facts):
        for value in [value for value in of_value(facts[path[0]]) if value != facts[path[0]]]:
            text = json.dumps(put(facts, path, value))
            codes += await approved.run(sql(f"UPDATE recipients SET facts = ? WHERE {first}", text, *here))
    told("a row's facts", codes, 0)


async def test_the_audience_grown_shrunk_and_reordered(approved: Approved, told: Told) -> None:
    names = [row[1] for row in approved.saved.execute("PRAGMA table_info(recipients)")]
    copied = ", ".join(n for n in names if n not in ("id", "position", "customer_id"))

    def added(position: int, customer: str, source: str) -> Change:
        return sql(
            f"INSERT INTO recipients (position, customer_id, {copied}) SELECT ?, ?, {copied} FROM recipients"
            " WHERE customer_id = ?",
            position,
            customer,
            source,
        )

    def swapped(database: sqlite3.Connection) -> None:
        rows = database.execute("SELECT id, position FROM recipients WHERE outreach_id = ?", (approved.id,)).fetchall()
        (one, first), (other, second) = rows[:2]
        for row, position in ((one, -7), (other, first), (one, second)):
            database.execute("UPDATE recipients SET position = ? WHERE id = ?", (position, row))

    here = approved.id
    changes = [
        *(added(900 + n, customer, "c-0") for n, customer in enumerate(("c-7", "c-1", "nobody"))),
        sql("DELETE FROM recipients WHERE outreach_id = ? AND customer_id = 'c-0'", here),
        sql("UPDATE recipients SET outreach_id = ?, page = 0, arm = 'treated', position = position + 50 "
            "WHERE customer_id = 'c-7'", here),
        swapped,
        sql("UPDATE pages SET digest = ? WHERE outreach_id = ?", "00" * 32, here),
        sql("UPDATE pages SET digest = (SELECT digest FROM pages WHERE outreach_id = ?) WHERE outreach_id = ?",
            approved.other, here),
        sql("DELETE FROM pages WHERE outreach_id = ?", here),
        sql("INSERT INTO pages SELECT outreach_id, revision, 1, channel, rows, digest FROM pages WHERE outreach_id = ?",
            here),
        sql("UPDATE recipients SET page = 1 WHERE outreach_id = ? AND customer_id = 'c-1'", here),
    ]  # fmt: skip
    told("the audience grown, shrunk, moved", [c for change in changes for c in await approved.run(change)], 0)


async def test_the_proposal_the_plan_and_the_playbook_changed(approved: Approved, told: Told) -> None:
    def stored(column: str, document: object) -> Change:
        return sql(f"UPDATE revisions SET {column} = ? WHERE outreach_id = ?", json.dumps(document), approved.id)

    proposal = json.loads(approved.value("SELECT proposal FROM revisions WHERE outreach_id = ?", approved.id))
    codes = []
    for path in places(proposal):
        old = proposal
        for key in path:
            old = old[key]
        values = {int: [old + 1 if type(old) is int else 0], str: [f"{old}x", ""]}.get(type(old), [])
        for value in [value for value in values if value != old]:
            codes += await approved.run(stored("proposal", put(proposal, path, value)))
    told("a field of the proposal", codes, 0)

    plan = json.loads(approved.value("SELECT plan FROM revisions WHERE outreach_id = ?", approved.id))
    codes = []
    for number, step in enumerate(plan["steps"]):
        for name in ("due", "act_at", "not_after"):
            if step[name] is not None:
                for shift in (timedelta(seconds=1), timedelta(days=3), -timedelta(seconds=1)):
                    later = (datetime.fromisoformat(step[name]) + shift).isoformat()
                    codes += await approved.run(stored("plan", put(plan, ("steps", number, name), later)))
        for kind in {"initial", "update", "resolved", "correction", "free-update"} - {step["kind"]}:
            codes += await approved.run(stored("plan", put(plan, ("steps", number, "kind"), kind)))
    for name in ("decide_by", "planned_at"):
        later = (datetime.fromisoformat(plan[name]) + timedelta(days=1)).isoformat()
        codes += await approved.run(stored("plan", put(plan, (name,), later)))
    codes += await approved.run(stored("plan", {**plan, "steps": plan["steps"][:1]}))
    codes += await approved.run(stored("plan", {**plan, "steps": [*plan["steps"], plan["steps"][-1]]}))
    told("steps and dates of the plan", codes, 0)

    text = approved.value("SELECT text FROM playbook_versions")
    codes = []
    for old, new in (
        ("Your parcel", "Pay now, your parcel"),
        ("when it was promised", "never"),
        ('approvers = ["Service lead"]', 'approvers = ["Anybody"]'),
        ("holdout = 0", "holdout = 0.0"),
        ("\n", "\n# a comment\n"),
    ):
        if old in text:
            codes += await approved.run(sql("UPDATE playbook_versions SET text = ?", text.replace(old, new, 1)))
    told("the text of the playbook", codes, 0)


async def test_decisions_written_by_hand(approved: Approved, told: Told) -> None:
    world, here = approved.world, approved.id
    kept = json.loads(approved.value("SELECT envelope FROM decisions WHERE about = ? AND accepted", here))
    record = world.outreaches.revision(here, 1)
    elsewhere = world.outreaches.revision(approved.other, 1)
    assert record is not None
    assert elsewhere is not None
    now = record.plan.planned_at

    def written(given: Any, **columns: object) -> Change:
        told = {"envelope": given if isinstance(given, str) else json.dumps(given), **columns}
        names = ", ".join(f"{name} = ?" for name in told)
        return sql(f"UPDATE decisions SET {names} WHERE about = ?", *told.values(), here)

    def made(signer: Any, name: str, proposal: Any = record.proposal, choice: Any = "approve") -> Any:
        return envelope(signer, proposal.decide(choice, name, now)).model_dump(mode="json")

    stranger = ed25519()
    changes: list[Change] = [
        sql("DELETE FROM decisions WHERE about = ?", here),
        sql("UPDATE decisions SET accepted = 0 WHERE about = ?", here),
        sql("UPDATE decisions SET decision = 'reject' WHERE about = ?", here),
        *(written(made(stranger, name)) for name in ("ana", "ben", "eve")),
        written(made(world.ben, "ana")),
        written(made(world.ana, "ana", choice="reject")),
        written(made(world.ana, "ana", elsewhere.proposal)),
        *(
            written(made(world.ana, "ana", record.proposal.model_copy(update=changed)))
            for changed in (
                {"environment": "production"},
                {"revision": 2},
                {"nonce": "another"},
                {"outreach": approved.other},
                {"audience_count": 0},
                {"cost_micros": 1},
                {"valid_until": now + timedelta(days=900)},
                {"decide_by": now + timedelta(days=900)},
            )
        ),
        *(written(given) for given in ("null", "{}", '{"document": {}, "signature": ""}')),
        written({**kept, "signature": kept["signature"].replace("A", "B", 1)}),
        written({**kept, "document": {**kept["document"], "approver": "ben"}}),
        *(
            written(kept, received_at=(record.proposal.decide_by + shift).isoformat(sep=" "))
            for shift in (timedelta(seconds=1), timedelta(days=400))
        ),
        # Backdated: the signer wrote when, and that is signed.
        *(
            written(kept, received_at=(now - shift).isoformat(sep=" "))
            for shift in (timedelta(minutes=6), timedelta(days=1), timedelta(days=400))
        ),
    ]
    told("decisions written by hand", [c for change in changes for c in await approved.run(change)], 0)


async def test_another_outreach_made_to_look_approved(approved: Approved, told: Told) -> None:
    """The one that nobody approved is set to approved by hand, with decisions copied from the one that was."""
    columns = "revision, decision, approver, fingerprint, accepted, code, envelope, received_at"
    copied = f"INSERT INTO decisions (about, {columns}) SELECT ?, {columns} FROM decisions WHERE about = ? AND accepted"
    proposal = "proposal = (SELECT proposal FROM revisions WHERE outreach_id = ?)"
    plan = "plan = (SELECT plan FROM revisions WHERE outreach_id = ?)"
    codes = []
    genuine, other = approved.id, approved.other
    for statements in (
        [],
        [(copied, (other, genuine))],
        [
            (f"UPDATE revisions SET {proposal} WHERE outreach_id = ?", (genuine, other)),
            (copied, (other, genuine)),
        ],
        [
            (f"UPDATE revisions SET {proposal}, {plan} WHERE outreach_id = ?", (genuine, genuine, other)),
            (copied, (other, genuine)),
        ],
        [  # its people too: whoever was told would be told again
            (f"UPDATE revisions SET {proposal}, {plan} WHERE outreach_id = ?", (genuine, genuine, other)),
            (copied, (other, genuine)),
            *(("DELETE FROM " + table + " WHERE outreach_id = ?", (other,)) for table in ("recipients", "pages")),
            *(
                (f"UPDATE {table} SET outreach_id = ? WHERE outreach_id = ?", (other, genuine))
                for table in ("recipients", "pages")
            ),
        ],
    ):

        def change(database: sqlite3.Connection, statements: Any = statements) -> None:
            database.execute("UPDATE revisions SET status = 'approved' WHERE outreach_id = ?", (other,))
            database.execute("UPDATE recipients SET arm = 'treated' WHERE outreach_id = ?", (other,))
            for statement, values in statements:
                assert database.execute(statement, values).rowcount > 0

        approved.id = other
        codes += await approved.run(change)
        approved.id = genuine
    told("another outreach made to look approved", codes, 0)


async def test_a_promised_update_of_rows_and_words_that_were_changed(approved: Approved, told: Told) -> None:
    """What follows the first message is held against the same signed rows and the same signed version."""
    world, here = approved.world, approved.id
    record = world.outreaches.revision(here, 1)
    assert record is not None
    [update] = record.plan.updates
    assert update.act_at is not None
    await approved.dispatch()
    with approved.database() as database:
        database.backup(approved.saved)
    others = approved.value("SELECT address_digest FROM recipients WHERE customer_id = 'c-7'")
    first = "UPDATE recipients SET {} = ? WHERE customer_id = 'c-0'"
    changes = [
        *(
            sql(first.format(column), value)
            for column, value in {
                "facts": '{"order_id": "o-9", "promised_at": "2026-11-20"}',
                "customer_id": "c-7",
                "channel": "email",
                "locale": "de",
                "timezone": "Asia/Tokyo",
                "others": 3,
                "address_digest": others,
            }.items()
        ),
        sql("UPDATE playbook_versions SET text = replace(text, 'sorry', 'not sorry')"),
        sql("UPDATE revisions SET plan = json_set(plan, '$.steps[1].kind', 'correction') WHERE outreach_id = ?", here),
        sql("UPDATE revisions SET plan = json_set(plan, '$.steps[1].act_at', '2020-01-01T00:00:00Z')"),
        sql("DELETE FROM decisions WHERE about = ?", here),
    ]
    codes = []
    for change in changes:
        world.sms.sent.clear()
        with approved.database() as database:
            change(database)
        codes.append((await approved.dispatch(update.id, at=update.act_at)).halted or "")
        assert not world.sms.sent
        approved.restore()
    told("a promised update of what was changed", codes, 0)
    assert (await approved.dispatch(update.id, at=update.act_at)).accepted == ROWS, "the control"
