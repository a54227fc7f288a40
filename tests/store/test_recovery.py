"""Recovery and restarts: what an older copy forgot does not leave again, and a new workflow takes an outreach over."""

from datetime import datetime
from pathlib import Path

import pytest
from sqlmodel import col, delete, select, update

from tellfirst.domain.message import SendState
from tellfirst.errors import RefusedError
from tellfirst.signing.trail import Entry
from tellfirst.store.chain import RECOVERY, Chain
from tellfirst.store.engine import Database
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.recovery import RESTORED, Recovered, Recovery
from tellfirst.store.repeats import Repeat
from tellfirst.store.restarts import Restarts
from tellfirst.store.sends import send_id
from tellfirst.store.tables import RecipientRow, SendRow
from tellfirst.store.tables_audit import AuditRow
from tests.store.desk import INITIAL, Desk, step
from tests.store.make import DAY, HOUR, NOON, OUTREACH, claim, condition, freeze
from tests.store.test_alternates import LOST, TAKEN, Row

SINCE = NOON + HOUR
LATER = NOON + 22 * HOUR
"""When the update is being prepared."""


class Known:
    """Is a provider's log that knows these sends, and of the others nothing, or only that they may be there."""

    def __init__(self, sids: dict[str, str], *, rest: str | None = "") -> None:
        self._sids, self._rest = sids, rest

    def covers(self, channel: str) -> bool:
        return channel == "sms"

    def sid(self, send: str, address: str, text: str) -> str | None:
        return self._sids.get(send, self._rest)


def recover(
    database: Database, evidence: Known | None = None, *, now: datetime = SINCE, dry_run: bool = False
) -> Recovered:
    revision = freeze(database).revision(OUTREACH, 1)
    assert revision is not None
    recovery = Recovery(database, providers={"sms": "fake", "email": "fake", "in_app": "inbox"})
    return recovery.recover(revision, evidence, since=SINCE, now=now, dry_run=dry_run)


@pytest.fixture
def copy(desk: Desk) -> Desk:
    """Is a copy made when one message was accepted, one failed, two waited, one page was not opened, one not drawn."""
    desk.open()
    sends = {customer: send for send, customer in desk.whose().items()}
    desk.set_state(sends["c-0"], SendState.ACCEPTED)
    desk.set_state(sends["c-2"], SendState.DEFERRED)
    desk.set_state(sends["c-3"], SendState.FAILED)
    with desk.database.write() as session:
        session.execute(delete(SendRow).where(col(SendRow.customer_id).in_(["c-4", "c-5"])))
        undrawn = update(RecipientRow).where(col(RecipientRow.customer_id) == "c-5")
        session.execute(undrawn.values(arm=None, t0=None))
    return desk


def withheld(desk: Desk) -> dict[str, str]:
    with desk.database.read() as session:
        rows = session.exec(select(RecipientRow))
        return {row.customer_id: row.withheld for row in rows if row.withheld}


def test_what_may_have_left_is_in_doubt(copy: Desk) -> None:
    assert recover(copy.database) == Recovered(asked=3, aside=1)
    assert copy.states() == {"c-0": "accepted", "c-1": "intent", "c-2": "intent", "c-3": "failed", "c-4": "intent"}
    assert withheld(copy) == {"c-5": RESTORED}
    doubtful = next(row for row in copy.rows() if row.customer_id == "c-4")
    assert (doubtful.id, doubtful.adapter) == (send_id(OUTREACH, 1, 4, "initial", "sms"), "fake")
    assert (doubtful.intent_at, doubtful.nonce) == (SINCE, "n-1")
    assert recover(copy.database) == Recovered(), "done again"


def test_nothing_changes_in_a_dry_run(copy: Desk) -> None:
    before = copy.states()
    assert recover(copy.database, dry_run=True) == Recovered(asked=3, aside=1)
    assert (copy.states(), withheld(copy)) == (before, {})


def test_nothing_of_it_leaves_again_without_a_key(copy: Desk) -> None:
    recover(copy.database)
    copy.leases.release(INITIAL, 1, now=NOON)
    copy.open()
    assert copy.sends.planned(INITIAL, 500, now=LATER) == []


@pytest.mark.parametrize(("asked_since", "again"), [(SINCE, 3), (SINCE + HOUR, 0)])
def test_where_the_provider_keeps_keys_it_is_asked_for_again_while_they_are_good(
    copy: Desk, asked_since: datetime, again: int
) -> None:
    recover(copy.database)
    copy.leases.release(INITIAL, 1, now=NOON)
    token = copy.take()
    repeat = Repeat(adapter="fake", since=asked_since)
    copy.sends.open_page(INITIAL, kind="initial", channel="sms", repeat=repeat, token=token)
    assert len(copy.sends.planned(INITIAL, 500, now=LATER)) == again


def test_the_providers_log_adopts_what_left_and_lets_the_rest_go(copy: Desk) -> None:
    log = Known({send_id(OUTREACH, 1, n, "initial", "sms"): f"SM{n}" for n in (1, 4)})
    assert recover(copy.database, log) == Recovered(adopted=2)
    assert copy.states() == {
        "c-0": "accepted",
        "c-1": "accepted",
        "c-2": "deferred",
        "c-3": "failed",
        "c-4": "accepted",
    }
    assert [row.provider_id for row in copy.rows() if row.customer_id in ("c-1", "c-4")] == ["SM1", "SM4"]
    assert withheld(copy) == {}, "who was not drawn was not told"


def test_the_log_settles_what_was_in_doubt_when_the_copy_was_made(copy: Desk) -> None:
    sends = {customer: send for send, customer in copy.whose().items()}
    for customer, state in (("c-1", SendState.INTENT), ("c-2", SendState.UNKNOWN), ("c-3", SendState.INTENT)):
        copy.set_state(sends[customer], state)
    log = Known({sends["c-1"]: "SM1", sends["c-2"]: "SM2"})
    assert recover(copy.database, log) == Recovered(adopted=2)
    assert copy.states() == {"c-0": "accepted", "c-1": "accepted", "c-2": "accepted", "c-3": "intent"}


def test_who_was_told_without_an_arm_is_set_aside(copy: Desk) -> None:
    log = Known({send_id(OUTREACH, 1, 5, "initial", "sms"): "SM5"})
    assert recover(copy.database, log) == Recovered(aside=1)
    assert withheld(copy) == {"c-5": RESTORED}


def test_what_the_log_may_hold_is_asked_about(copy: Desk) -> None:
    assert recover(copy.database, Known({}, rest=None)) == Recovered(asked=3, aside=1)


def test_an_update_whose_time_has_come_is_in_doubt_for_whoever_was_told(copy: Desk) -> None:
    recover(copy.database)
    assert copy.states(step("update-1")) == {}, "it cannot have left"
    assert recover(copy.database, now=LATER) == Recovered(asked=4)
    told = dict.fromkeys(["c-0", "c-1", "c-2", "c-4"])
    assert copy.states(step("update-1")) == dict.fromkeys(told, "intent")
    # In doubt, it would keep the later updates from those for whom it is not over.
    assert copy.states(step("resolved")) == dict.fromkeys(told, "withheld")


@pytest.mark.parametrize(
    ("first", "email"),
    [(TAKEN, ("withheld", "told_before")), (LOST, ("intent", RESTORED))],
)
def test_nobody_is_told_again_by_another_channel(
    database: Database, first: dict[str, str], email: tuple[str, str]
) -> None:
    row = Row(database)
    row.sent("initial", sms=first)
    recover(database)
    with database.read() as session:
        rows = session.exec(select(SendRow).where(SendRow.step == "initial")).all()
    assert {(one.channel, one.state, one.reason) for one in rows if one.channel != "sms"} == {("email", *email)}
    with database.write() as session:
        lost = update(SendRow).where(col(SendRow.channel) == "sms")
        session.execute(lost.values(state=SendState.UNDELIVERED))
    assert row.due() == []


# -- that a copy is known


@pytest.fixture
def anchored(database: Database, tmp_path: Path) -> Database:
    return Database(database.engine, anchor=tmp_path / "audit.anchor")


def entry(kind: str = "switch_on", about: str = "x") -> Entry:
    return Entry(kind=kind, about=about, actor="eve", at=NOON)


def test_an_older_copy_is_known_by_its_anchor_until_it_was_recovered(anchored: Database) -> None:
    chain = Chain(anchored)
    assert chain.gone() == 0
    for _ in range(3):
        chain.append(entry())
    assert chain.gone() == 0
    with anchored.write() as session:
        session.execute(delete(AuditRow).where(col(AuditRow.sequence) > 1))
    assert chain.gone() == 2
    chain.append(entry(about="something else"))
    assert chain.gone() == 2, "whatever is written first after it"
    chain.append(entry(RECOVERY))
    assert chain.gone() == 0
    chain.append(entry())
    assert chain.gone() == 0


# -- that a workflow is made anew


def test_a_released_outreach_is_claimed_once(database: Database) -> None:
    outreaches, restarts = claim(database), Restarts(database)
    assert not outreaches.claim(OUTREACH, condition(), run="run-2", now=NOON)
    assert restarts.release(OUTREACH, by="eve", at=NOON) == condition()
    assert not outreaches.claim("outreach/late_delivery/other/1", condition(), run="run-3", now=NOON)
    assert outreaches.claim(OUTREACH, condition(), run="run-2", now=NOON)
    assert outreaches.claim(OUTREACH, condition(), run="run-2", now=NOON), "asked again"
    assert not outreaches.claim(OUTREACH, condition(), run="run-4", now=NOON)


def test_what_has_ended_is_not_released(database: Database) -> None:
    outreaches = Outreaches(database)
    with pytest.raises(RefusedError):
        Restarts(database).release(OUTREACH, by="eve", at=NOON)
    claim(database)
    outreaches.close(OUTREACH, ending="measured", reason="", at=NOON + DAY)
    with pytest.raises(RefusedError):
        Restarts(database).release(OUTREACH, by="eve", at=NOON)
