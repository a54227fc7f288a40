"""Phases: everybody is told in the end, chance says when, and contacts count only until the next phase begins."""

from datetime import timedelta

import pytest

from tellfirst.measurement.assignment import draw
from tellfirst.measurement.outcome import judge_figures, phased
from tellfirst.store.accounts import Accounts
from tellfirst.store.contacts import Contact, Contacts
from tellfirst.store.engine import Database
from tellfirst.store.phases import Phases
from tellfirst.store.recipients import Recipients
from tests.store.make import DAY, HOUR, NOON, OUTREACH, by, candidate, customers, paged

REASON = "where_is_my_order"
NAMES = [f"c-{n}" for n in range(90)]
SECOND = timedelta(seconds=1)


def plan(database: Database, names: list[str] = NAMES, revision: int = 1) -> Recipients:
    customers(database, names)
    return paged(database, [candidate(name) for name in names], revision=revision)


def phase_of(name: str, phases: int) -> int:
    return int(draw("holdout-v1", OUTREACH, name) * phases)


def told(recipients: Recipients) -> int:
    return recipients.arms(OUTREACH).get("treated", 0)


def contact(database: Database, name: str, at: timedelta, reason: str = REASON, source: str = "desk") -> None:
    one = Contact(id=f"{name}-{at}-{reason}", customer=name, reason_code=reason, occurred_at=NOON + at)
    Contacts(database).save([one], source=source, through=NOON + 9 * DAY, now=NOON + 9 * DAY)


def test_each_is_told_in_the_phase_that_chance_chose(database: Database) -> None:
    recipients = plan(database)
    expected = [[name for name in NAMES if phase_of(name, 3) == phase] for phase in range(3)]
    assert all(20 <= len(names) <= 40 for names in expected)
    waiting = recipients.randomise(OUTREACH, 1, by(phases=3), page=0)
    assert set(waiting) == {NOON + DAY, NOON + 2 * DAY}
    assert (told(recipients), len(waiting)) == (len(expected[0]), 90 - len(expected[0]))
    again = recipients.randomise(OUTREACH, 1, by(phases=3, t0=NOON + DAY - SECOND), page=0)
    assert (again, told(recipients)) == (waiting, len(expected[0]))
    recipients.randomise(OUTREACH, 1, by(phases=3, t0=NOON + DAY), page=0)
    assert told(recipients) == len(expected[0]) + len(expected[1])
    assert recipients.randomise(OUTREACH, 1, by(phases=3, t0=NOON + 2 * DAY), page=0) == []
    assert recipients.arms(OUTREACH) == {"treated": 90}


def test_phases_stand_though_the_playbook_changes(database: Database) -> None:
    recipients = plan(database)
    waiting = recipients.randomise(OUTREACH, 1, by(phases=3), page=0)
    plan(database, revision=2)
    assert sorted(recipients.randomise(OUTREACH, 2, by(), page=0)) == sorted(waiting)


def test_contacts_count_until_the_next_phase(database: Database) -> None:
    recipients = plan(database)
    recipients.randomise(OUTREACH, 1, by(phases=2), page=0)
    early, late = ([name for name in NAMES if phase_of(name, 2) == phase] for phase in range(2))
    contact(database, early[0], -SECOND)
    contact(database, early[1], timedelta(0))
    contact(database, early[2], HOUR, "wrong_size")
    contact(database, late[0], HOUR)
    contact(database, late[0], 2 * HOUR)
    contact(database, late[0], 2 * HOUR, source="phone")
    contact(database, late[1], DAY - SECOND)
    contact(database, late[2], DAY)
    control, treated = Phases(database).count(OUTREACH, REASON)
    assert (treated.arm, treated.share, treated.clusters, treated.contacted) == ("treated", 0.5, len(early), 1)
    assert (treated.elsewhere, treated.anyhow, treated.repeated) == (1, 2, 0)
    assert (control.arm, control.share, control.clusters, control.contacted) == ("control", 0.5, len(late), 2)
    assert (control.elsewhere, control.anyhow, control.repeated) == (0, 2, 1)


def test_each_phase_is_compared_with_those_not_told_yet(database: Database) -> None:
    recipients = plan(database)
    recipients.randomise(OUTREACH, 1, by(phases=3), page=0)
    by_phase = [[name for name in NAMES if phase_of(name, 3) == phase] for phase in range(3)]
    contact(database, by_phase[2][0], HOUR)
    contact(database, by_phase[2][0], DAY + HOUR)
    contact(database, by_phase[0][0], DAY + HOUR)
    found = {(one.arm, round(one.share, 3)): one for one in Phases(database).count(OUTREACH, REASON)}
    sizes = [len(names) for names in by_phase]
    assert {key: (one.clusters, one.contacted) for key, one in found.items()} == {
        ("treated", 0.667): (sizes[0], 0),
        ("control", 0.667): (sizes[1] + sizes[2], 1),
        ("treated", 0.5): (sizes[1], 0),
        ("control", 0.5): (sizes[2], 1),
    }
    judged = judge_figures(list(found.values()), window_closed=True, watermark_passed=True, reason_code=REASON)
    assert judged.grade == "B"
    assert judged.difference is not None
    assert "told in a later phase, which chance chose" in phased(judged).sentence


def test_a_merged_account_counts_once_in_its_first_phase(database: Database) -> None:
    recipients = plan(database)
    recipients.randomise(OUTREACH, 1, by(phases=2), page=0)
    early, late = (next(name for name in NAMES if phase_of(name, 2) == phase) for phase in range(2))
    contact(database, late, HOUR)
    Accounts(database).merge(late, early, by="ben", now=NOON + DAY)
    found = {one.arm: one for one in Phases(database).count(OUTREACH, REASON)}
    assert sum(one.clusters for one in found.values()) == 89
    assert (found["treated"].contacted, found["control"].contacted) == (1, 0)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_an_outreach_without_phases_has_no_such_figures(database: Database, share: float) -> None:
    plan(database).randomise(OUTREACH, 1, by(share), page=0)
    assert Phases(database).count(OUTREACH, REASON) == ()


def test_whom_the_hold_out_of_all_keeps_untold_stands_in_no_phase(database: Database) -> None:
    recipients = plan(database)
    recipients.randomise(OUTREACH, 1, by(everywhere=0.4, phases=2), page=0)
    held = recipients.held_out(OUTREACH)["global"]
    assert sum(one.clusters for one in Phases(database).count(OUTREACH, REASON)) == 90 - held
