"""Retention: after its period nothing personal is left of an outreach, and everything signed can be recomputed."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlmodel import SQLModel, col, select, update

from tellfirst.domain.condition import Condition, Subject
from tellfirst.domain.message import SendState
from tellfirst.signing.audience import page_digest
from tellfirst.signing.leaves import leaf_of
from tellfirst.store.chain import Chain
from tellfirst.store.decisions import differences
from tellfirst.store.engine import Database
from tellfirst.store.erasure import Erasure, unexplained
from tellfirst.store.events import Events, Happened
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.retention import BATCH, Emptied, Retention
from tellfirst.store.tables import AdmissionRow, OutreachRow, RecipientRow
from tellfirst.store.tables_alternates import AlternateRow
from tellfirst.store.tables_exceptions import ExceptionRow
from tellfirst.store.tables_surveys import SurveyRow
from tests.store.desk import Desk
from tests.store.make import DAY, NOON, OUTREACH, candidate, customers, paged

YEAR = timedelta(days=365)
LATER = NOON + YEAR + DAY
OTHER = "outreach/late_delivery/k-2/1"
SECRETS = ("1 Secret Street", "Europe/Lisbon", "a-c-1", "by-mail")
MANY = BATCH + 20


@pytest.fixture
def anchored(database: Database, tmp_path: Path) -> Database:
    return Database(database.engine, anchor=tmp_path / "audit.anchor")


@pytest.fixture
def ended(anchored: Database) -> Desk:
    """Is an outreach that told six customers and has ended, of whom one was affected by another, which goes on."""
    desk = Desk(anchored)
    secret = {"street": "1 Secret Street"}
    desk.set_recipient("c-1", facts=secret, timezone="Europe/Lisbon", promises={"update-1": NOON.isoformat()})
    other = Condition(
        trigger="late_delivery",
        key="k-2",
        episode=1,
        detected_at=NOON,
        subjects=(Subject(key="o-9", customer="c-1", facts=secret),),
    )
    Outreaches(anchored).claim(OTHER, other, run="run-2", now=NOON)
    with anchored.write() as session:
        (position,) = session.exec(select(RecipientRow.position).where(RecipientRow.customer_id == "c-1"))
        session.add(
            AlternateRow(
                outreach_id=OUTREACH,
                revision=1,
                position=position,
                rank=1,
                channel="email",
                locale="en",
                page=1,
                address_digest="by-mail",
                content_digest="content",
            )
        )
        for key, trigger in (("k-1", "late_delivery"), ("k-2", "late_delivery"), ("", "late_delivery")):
            session.add(
                AdmissionRow(
                    trigger=trigger,
                    subject_key=f"s-{key}",
                    episode=1,
                    condition_key=key,
                    condition_episode=1 if key else 0,
                    customer_ref="c-1",
                    since=NOON,
                    facts=secret,
                    admitted_at=NOON,
                )
            )
    desk.deliver({f"c-{n}": SendState.ACCEPTED for n in range(6)})
    close(anchored, OUTREACH)
    return desk


def close(database: Database, outreach: str, at: datetime = NOON + DAY) -> None:
    Outreaches(database).close(outreach, ending="measured", reason="", at=at)


def keep(database: Database, *, now: datetime = LATER, batches: int = 100) -> Emptied:
    return Retention(database, kept=YEAR).tidy(now=now, batches=batches)


def everything(database: Database) -> str:
    with database.read() as session:
        return "\n".join(str(list(session.execute(table.select()))) for table in SQLModel.metadata.sorted_tables)


def facts_of(database: Database) -> dict[str, bool]:
    with database.read() as session:
        return {row.condition_key: bool(row.facts) for row in session.exec(select(AdmissionRow))}


def pages(desk: Desk) -> list[str]:
    found = [desk.recipients.page(OUTREACH, 1, number) for number in (0, 1)]
    assert [len(rows) for rows in found] == [6, 1]
    return [page_digest([leaf_of(row, row.content_digest) for row in rows]) for rows in found]


def faults(database: Database) -> list[str]:
    return Chain(database).faults(differences, unexplained)


def test_nothing_personal_is_left_and_what_was_signed_still_holds(ended: Desk, anchored: Database) -> None:
    close(anchored, OTHER)
    before = pages(ended)
    assert all(secret in everything(anchored) for secret in SECRETS)
    assert keep(anchored) == Emptied(recipients=6, found=5, outreaches=2)
    after = everything(anchored)
    assert [secret for secret in SECRETS if secret in after] == []
    assert pages(ended) == before
    assert faults(anchored) == []
    assert keep(anchored) == Emptied()


def test_what_is_open_or_young_stays_whole(ended: Desk, anchored: Database) -> None:
    assert keep(anchored, now=NOON + YEAR) == Emptied(found=1)
    assert facts_of(anchored) == {"k-1": True, "k-2": True, "": False}
    assert keep(anchored).outreaches == 1
    assert facts_of(anchored) == {"k-1": False, "k-2": True, "": False}
    with anchored.read() as session:
        kept = session.exec(select(OutreachRow.id).where(col(OutreachRow.emptied_at).is_(None))).all()
    assert kept == [OTHER]


def test_nobody_is_emptied_whom_somebody_still_works_for(ended: Desk, anchored: Database) -> None:
    with anchored.write() as session:
        (first,) = session.exec(select(RecipientRow.id).where(RecipientRow.customer_id == "c-1"))
        session.add(
            ExceptionRow(
                id="x-1",
                first_run="r",
                outreach_id=OUTREACH,
                revision=1,
                customer_id="c-1",
                kind="goodwill_credit",
                amount_minor=500,
                currency="EUR",
                requester="ben",
                status="open",
                opened_at=NOON,
                decide_by=NOON + DAY,
                closed_at=None,
            )
        )
        asked = {"recipient_id": first, "customer_id": "c-1", "kind": "csat", "revision": 1, "drawn_at": NOON}
        session.add(SurveyRow(outreach_id=OUTREACH, not_after=LATER + DAY, **asked))
    assert keep(anchored, now=LATER + 2 * DAY).outreaches == 0
    with anchored.write() as session:
        session.execute(update(ExceptionRow).values(closed_at=LATER))
    assert keep(anchored).outreaches == 0
    assert keep(anchored, now=LATER + 2 * DAY).outreaches == 1


def test_killed_in_the_middle_it_goes_on(ended: Desk, anchored: Database) -> None:
    """And what is half done is whole to whoever verifies."""
    more = [f"m-{n}" for n in range(MANY)]
    customers(anchored, more)
    paged(anchored, [candidate(name) for name in more], outreach=OTHER)
    close(anchored, OTHER, NOON)

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Retention(anchored, kept=YEAR).tidy(now=LATER, batches=100, beat=killed)
    with anchored.read() as session:
        kept = session.exec(select(RecipientRow.position).where(col(RecipientRow.leaf).is_(None))).all()
        assert len(kept) == MANY - BATCH + 6
    assert faults(anchored) == []
    assert keep(anchored) == Emptied(recipients=MANY - BATCH + 6, found=5, outreaches=2)
    with anchored.read() as session:
        assert session.exec(select(RecipientRow.position).where(col(RecipientRow.leaf).is_(None))).all() == []
    assert faults(anchored) == []


def test_a_batch_is_bounded_whatever_belongs_to_an_outreach(ended: Desk, anchored: Database) -> None:
    with anchored.write() as session:
        session.add_all(
            AdmissionRow(
                trigger="late_delivery",
                subject_key=f"more-{n}",
                episode=1,
                condition_key="k-1",
                condition_episode=1,
                customer_ref="c-1",
                since=NOON,
                facts={"n": n},
                admitted_at=NOON,
            )
            for n in range(MANY)
        )
    sizes: list[int] = []

    def note(_c: object, cursor: object, sql: str, _p: object, context: object, _m: object) -> None:
        if sql.startswith("UPDATE admissions"):
            sizes.append(cursor.rowcount)  # type: ignore[attr-defined]

    event.listen(anchored.engine, "after_cursor_execute", note)
    assert keep(anchored).found == MANY + 3
    event.remove(anchored.engine, "after_cursor_execute", note)
    assert max(sizes) < BATCH
    assert facts_of(anchored) == {"k-1": False, "k-2": True, "": False}


def test_events_go_by_the_age_of_their_arrival(anchored: Database) -> None:
    told = [
        Happened(source="s", id=str(n), type="opened", subject="o-1", customer="c-1", occurred_at=NOON, data={"a": 1})
        for n in range(3)
    ]
    Events(anchored).keep(told[:2], now=NOON)
    Events(anchored).keep(told[2:], now=NOON + 2 * DAY)
    assert keep(anchored) == Emptied(events=2)
    assert keep(anchored) == Emptied()
    assert keep(anchored, now=LATER + 2 * DAY) == Emptied(events=1)
    assert "'o-1'" not in everything(anchored)


def test_who_was_forgotten_before_or_after_is_explained(ended: Desk, anchored: Database) -> None:
    Erasure(anchored).forget("c-2", "forgotten-2", by="ana", at=NOON + DAY)
    keep(anchored)
    assert faults(anchored) == []
    Erasure(anchored).forget("c-1", "forgotten-1", by="ana", at=LATER)
    assert faults(anchored) == []
    with anchored.write() as session:
        forged = update(RecipientRow).where(col(RecipientRow.customer_id) == "forgotten-1").values(leaf="f" * 64)
        session.execute(forged)
    assert faults(anchored) == ["audit log: 1 erasures are not as they were written down"]


def test_a_leaf_of_an_outreach_that_is_not_due_needs_another_reason(ended: Desk, anchored: Database) -> None:
    keep(anchored)
    with anchored.write() as session:
        session.execute(update(OutreachRow).where(col(OutreachRow.id) == OUTREACH).values(closed_at=LATER))
    assert faults(anchored) == ["audit log: 6 erasures are not as they were written down"]


def test_one_entry_a_day_says_whose_audiences_go(ended: Desk, anchored: Database) -> None:
    keep(anchored)
    close(anchored, OTHER)
    keep(anchored, now=LATER + timedelta(hours=1))
    (entry,) = [link for link in Chain(anchored).entries() if link.kind == "audiences_emptied"]
    assert entry.facts == {"closed_before": "2026-03-03T00:00:00+00:00"}


def test_nothing_more_is_sent_to_them(ended: Desk, anchored: Database) -> None:
    keep(anchored)
    assert [row.leaf != "" for row in ended.recipients.page(OUTREACH, 1, 0)] == [True] * 6
    assert ended.recipients.samples(OUTREACH, 1, 3) == []
