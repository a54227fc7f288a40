"""Who is held out: what they would have been sent can be told word for word, and where their draw came from."""

from sqlmodel import col, select

from tellfirst import __version__
from tellfirst.cli.picture import render_row
from tellfirst.measurement.assignment import draw_everywhere, half_year
from tellfirst.playbooks.loader import parse
from tellfirst.signing.audience import content_digest
from tellfirst.store.rows import read_recipient
from tellfirst.store.tables import PageRow, RecipientRow, ReservationRow
from tellfirst.store.tables_assignments import AssignmentRow
from tests.world import World


async def test_what_was_not_sent_is_known_word_for_word(world: World) -> None:
    world.hold_out(0.4)
    await world.with_settings(global_holdout=0.3)
    names = [f"c-{n}" for n in range(20)]
    for name in names:
        world.customer(name)
    world.contacts_known()
    handle = await world.start(world.late(*(name.replace("c-", "o-") for name in names)))
    await world.approve(handle.id)
    await world.finish(handle)
    assert world.app is not None
    revision = world.outreaches.revision(handle.id, 1)
    assert revision is not None
    with world.app.database.read() as session:
        rows = list(session.exec(select(RecipientRow).where(RecipientRow.arm == "control")))
        places = {row.customer_id: row.at for row in session.exec(select(ReservationRow))}
        ledger = {
            row.unit: row for row in session.exec(select(AssignmentRow).where(col(AssignmentRow.scope) != "global"))
        }
        [page] = session.exec(select(PageRow))
    assert rows
    assert sorted(places) == sorted(ledger) == sorted(names)
    told = {message.customer for message in world.sms.sent}
    playbook = parse(revision.playbook_text, "the planned playbook").playbook
    for row in rows:
        text = render_row(playbook, revision.plan, read_recipient(row), {})
        assert content_digest(text) == row.content_digest
        assert row.t0 == places[row.customer_id]
        assert row.customer_id not in told
        assert row.t0 is not None
        everywhere = draw_everywhere(world.settings.holdout_salt, half_year(row.t0), row.cluster, 0.3)
        assert (row.held_by == "global") == (everywhere.arm == "control")
    run = (await handle.describe()).raw_description.workflow_execution_info.first_run_id
    for one in ledger.values():
        assert one.chance == 0.3 + 0.7 * 0.4
        assert (one.run, one.code_version, one.eligibility) == (run, __version__, page.digest)
        assert one.playbook_version == revision.plan.playbook_version
