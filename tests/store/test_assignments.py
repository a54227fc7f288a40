"""The ledger of draws: the first one stands, by whichever attempt, revision, share, account or outreach."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import col, select

from tellfirst import __version__
from tellfirst.measurement.assignment import arm, draw, half_year
from tellfirst.measurement.srm import sample_ratio_p
from tellfirst.store.accounts import Accounts
from tellfirst.store.assignments import salt_id
from tellfirst.store.engine import Database
from tellfirst.store.recipients import Recipients
from tellfirst.store.tables import RecipientRow, ReservationRow
from tellfirst.store.tables_assignments import AssignmentRow
from tests.store.make import DAY, HOUR, NOON, OUTREACH, at_once, by, candidate, customers, meeting, paged

OTHER = "outreach/late_delivery/k-2/1"
NAMES = [f"c-{n}" for n in range(60)]
SALT = "holdout-v1"


def ledger(database: Database, scope: str = OUTREACH) -> dict[str, AssignmentRow]:
    with database.read() as session:
        query = select(AssignmentRow).where(AssignmentRow.scope == scope).order_by(col(AssignmentRow.epoch))
        return {row.unit: row for row in session.exec(query)}


def rows(database: Database, outreach: str = OUTREACH, revision: int = 1) -> list[RecipientRow]:
    with database.read() as session:
        query = select(RecipientRow).where(RecipientRow.outreach_id == outreach, RecipientRow.revision == revision)
        return list(session.exec(query.order_by(col(RecipientRow.id))))


def arms(database: Database, outreach: str = OUTREACH, revision: int = 1) -> dict[str, tuple[Any, Any, Any]]:
    return {row.customer_id: (row.arm, row.share, row.held_by) for row in rows(database, outreach, revision)}


def plan(database: Database, names: list[str], outreach: str = OUTREACH, revision: int = 1) -> Recipients:
    customers(database, names)
    return paged(database, [candidate(name) for name in names], outreach=outreach, revision=revision)


def draw_all(recipients: Recipients, how: Any, outreach: str = OUTREACH, revision: int = 1) -> list[datetime]:
    return recipients.randomise(outreach, revision, how, page=0)


def test_a_draw_is_kept_with_where_it_came_from(database: Database) -> None:
    how = by(0.3).model_copy(update={"playbook_version": "v1", "run": "run-1", "code_version": __version__})
    draw_all(plan(database, NAMES), how)
    kept = ledger(database)
    assert sorted(kept) == sorted(NAMES)
    for name, row in kept.items():
        assert row.u == draw(SALT, OUTREACH, name)
        assert row.arm == arm(row.u, 0.3)
        assert row.held_by == ("playbook" if row.arm == "control" else None)
        assert (row.share, row.chance, row.t0, row.epoch) == (0.3, 0.3, NOON, "")
        assert (row.salt_id, row.eligibility, row.outreach_id, row.revision) == (salt_id(SALT), "d-0", OUTREACH, 1)
        assert (row.playbook_version, row.run, row.code_version) == ("v1", "run-1", __version__)
    assert SALT not in {row.salt_id for row in kept.values()}


def test_a_later_revision_with_another_share_and_salt_changes_nobody(database: Database) -> None:
    recipients = plan(database, NAMES)
    draw_all(recipients, by(0.5, everywhere=0.2))
    first = arms(database)
    plan(database, [*NAMES, "c-new"], revision=2)
    draw_all(recipients, by(0.0, everywhere=0.4, salt="another", t0=NOON + DAY), revision=2)
    later = arms(database, revision=2)
    new = later.pop("c-new")
    assert later == first
    assert new[1] == 0.4  # whom the outreach grew by is drawn with the shares of now
    assert {row.t0 for name, row in ledger(database).items() if name != "c-new"} == {NOON}


def test_the_hold_out_of_all_outreaches_is_looked_at_first_and_persists(database: Database) -> None:
    recipients = plan(database, NAMES)
    plan(database, NAMES, OTHER)
    draw_all(recipients, by(0.1, everywhere=0.3))
    draw_all(recipients, by(0.2, everywhere=0.05, t0=NOON + 8 * DAY), OTHER)
    held = {name for name, row in ledger(database, "global").items() if row.arm == "control"}
    expected = {name for name in NAMES if draw(SALT, "global/2026H1", name) < 0.3}
    assert held == expected
    assert 0 < len(held) < len(NAMES)
    for outreach, chance in ((OUTREACH, 0.3 + 0.7 * 0.1), (OTHER, 0.3 + 0.7 * 0.2)):
        drawn = arms(database, outreach)
        assert {name for name, (_, _, by_which) in drawn.items() if by_which == "global"} == held
        assert [share for _, share, _ in drawn.values()] == pytest.approx([chance] * len(NAMES))
        local = {name for name, (_, _, by_which) in drawn.items() if by_which == "playbook"}
        assert local == {n for n in NAMES if n not in held and draw(SALT, outreach, n) < (0.1, 0.2)[outreach == OTHER]}
        assert {name for name, (of, _, _) in drawn.items() if of == "control"} == held | local


def test_another_half_year_draws_afresh_but_not_within_an_outreach(database: Database) -> None:
    june, july = datetime(2026, 6, 30, 23, tzinfo=UTC), datetime(2026, 7, 1, 0, tzinfo=UTC)
    recipients = plan(database, NAMES)
    always = july + DAY
    draw_all(recipients, by(everywhere=0.5, t0=june, not_after=always))
    first = arms(database)
    plan(database, NAMES, revision=2)
    plan(database, NAMES, OTHER)
    draw_all(recipients, by(everywhere=0.5, t0=july, not_after=always), revision=2)
    draw_all(recipients, by(everywhere=0.5, t0=july, not_after=always, cap_exempt=True), OTHER)
    assert arms(database, revision=2) == first
    moved = sum(arms(database, OTHER)[name][0] != first[name][0] for name in NAMES)
    assert 10 < moved < 50
    with database.read() as session:
        epochs = {row.epoch for row in session.exec(select(AssignmentRow).where(AssignmentRow.scope == "global"))}
    assert epochs == {"2026H1", "2026H2"}


@pytest.mark.parametrize(
    ("at", "epoch"),
    [
        ("2026-06-30T23:59:59+00:00", "2026H1"),
        ("2026-07-01T01:00:00+02:00", "2026H1"),
        ("2026-07-01T00:00:00+00:00", "2026H2"),
        ("2027-01-01T00:00:00+00:00", "2027H1"),
    ],
)
def test_half_years_are_those_of_utc(at: str, epoch: str) -> None:
    assert half_year(datetime.fromisoformat(at)) == epoch


def test_without_shares_nobody_is_held_out_and_everybody_is_in_the_ledger(database: Database) -> None:
    draw_all(plan(database, NAMES), by())
    assert set(arms(database).values()) == {("treated", 0.0, None)}
    assert sorted(ledger(database)) == sorted(NAMES)
    assert ledger(database, "global") == {}


def test_where_everyone_is_told_no_earlier_draw_keeps_anybody_untold(database: Database) -> None:
    recipients = plan(database, NAMES)
    draw_all(recipients, by(0.5, everywhere=0.5))
    plan(database, NAMES, OTHER)
    plan(database, NAMES, revision=2)
    for outreach, revision in ((OTHER, 1), (OUTREACH, 2)):
        draw_all(recipients, by(0.5, everywhere=0.5, everyone=True), outreach, revision)
        assert {of for of, _, _ in arms(database, outreach, revision).values()} == {"treated"}


def test_whom_the_hold_out_of_all_keeps_untold_holds_a_place_too(database: Database) -> None:
    recipients = plan(database, NAMES)
    plan(database, NAMES, OTHER)
    draw_all(recipients, by(everywhere=0.5, cap=1))
    with database.read() as session:
        assert sorted(row.customer_id for row in session.exec(select(ReservationRow))) == sorted(NAMES)
    draw_all(recipients, by(cap=1, everyone=True), OTHER)
    assert {row.withheld for row in rows(database, OTHER)} == {"frequency_cap"}


@pytest.mark.parametrize("everywhere", [0.0, 0.4])
def test_two_draws_of_one_account_at_once_agree(database: Database, everywhere: float) -> None:
    """Members of one account on two pages, drawn together with shares that put them into different arms."""
    names = [f"c-{n}" for n in range(80)]
    customers(database, names)
    pairs = [candidate(name, cluster=f"k-{n % 40}") for n, name in enumerate(names)]
    recipients = paged(database, pairs, size=40)
    shares = (0.2, 0.8)
    jobs = [
        lambda page=page, share=share: recipients.randomise(  # type: ignore[misc]
            OUTREACH, 1, by(share, everywhere=everywhere and share, t0=NOON + page * HOUR), page=page
        )
        for page, share in enumerate(shares)
    ]
    with meeting(database, "INSERT INTO assignments"):
        at_once(jobs)
    found: dict[str, set[tuple[Any, Any, Any]]] = {}
    for row in rows(database):
        found.setdefault(row.cluster, set()).add((row.arm, row.share, row.held_by))
    assert len(found) == 40
    assert all(len(of) == 1 for of in found.values())
    assert {name: (r.arm, r.chance, r.held_by) for name, r in ledger(database).items()} == {
        name: next(iter(of)) for name, of in found.items()
    }


def test_accounts_that_turn_out_to_be_one_keep_the_first_draw(database: Database) -> None:
    recipients = plan(database, NAMES)
    draw_all(recipients, by(0.5))
    first = arms(database)
    treated = next(name for name, (of, _, _) in first.items() if of == "treated")
    control = next(name for name, (of, _, _) in first.items() if of == "control")
    customers(database, ["c-late", "c-later"])
    Accounts(database).merge(control, "c-late", by="ben", now=NOON + HOUR)
    Accounts(database).merge(treated, "c-later", by="ben", now=NOON + HOUR)
    paged(database, [candidate("c-late"), candidate("c-later"), candidate(control)], revision=2)
    draw_all(recipients, by(0.0, t0=NOON + DAY), revision=2)
    again = arms(database, revision=2)
    assert {name: again[name][0] for name in again} == {"c-late": "control", "c-later": "treated", control: "control"}


def test_the_split_is_judged_by_both_hold_outs_together(database: Database) -> None:
    names = [f"c-{n}" for n in range(2_000)]
    recipients = Recipients(database)
    paged(database, [candidate(name) for name in names], size=1_000)
    for page in (0, 1):
        recipients.randomise(OUTREACH, 1, by(0.2, everywhere=0.2, cap_exempt=True), page=page)
    drawn = recipients.arms(OUTREACH)
    (share,) = {row.share for row in rows(database)}
    assert share == pytest.approx(0.36)
    assert sample_ratio_p(drawn["treated"], drawn["control"], share) > 0.001
    assert sample_ratio_p(drawn["treated"], drawn["control"], 0.2) < 0.001


def test_a_held_out_row_keeps_what_it_would_have_been_sent(database: Database) -> None:
    draw_all(plan(database, NAMES), by(0.3, everywhere=0.2))
    with database.read() as session:
        places = {row.customer_id: row.at for row in session.exec(select(ReservationRow))}
    control = [row for row in rows(database) if row.arm == "control"]
    assert {row.held_by for row in control} == {"global", "playbook"}
    for row in control:
        assert (row.channel, row.locale, row.facts) == ("sms", "en", {"order_id": "o"})
        assert row.content_digest == f"content-{row.id}"
        assert row.t0 == places[row.customer_id] == NOON
