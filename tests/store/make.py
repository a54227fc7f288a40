"""Rows for the tests of the store, and threads that start together."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import event

from tellfirst.domain.condition import Condition, Subject
from tellfirst.domain.plan import PageRange, Plan, PlannedStep
from tellfirst.domain.recipient import ELIGIBLE, Candidate
from tellfirst.measurement.assignment import Holdouts
from tellfirst.policy.caps import FrequencyCap, Urgency
from tellfirst.signing.kinds import Proposal
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.recipients import Recipients
from tellfirst.store.waves import Randomisation
from tellfirst.store.whereabouts import HourRules

T = TypeVar("T")

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OUTREACH = "outreach/late_delivery/k-1/1"


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Runs all jobs in threads that begin together and returns their results in order; raises what one raised."""
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        gate.wait(timeout=10)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


@contextmanager
def meeting(
    database: Database, statement: str, *, when: str = "before", threads: int = 2, patience: float = 0.5
) -> Iterator[None]:
    """Holds each thread before or after its first statement that begins so, until all are there or patience ends.

    It forces the schedule in which a missing lock shows: everyone has read, or written, and nobody has committed.
    """
    gate, passed = threading.Barrier(threads), threading.local()

    def wait(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        if sql.startswith(statement) and not getattr(passed, "once", False):
            passed.once = True
            with suppress(threading.BrokenBarrierError):
                gate.wait(patience)

    event.listen(database.engine, f"{when}_cursor_execute", wait)
    try:
        yield
    finally:
        event.remove(database.engine, f"{when}_cursor_execute", wait)


@contextmanager
def before(database: Database, statement: str, reached: threading.Event, *, hold: float) -> Iterator[None]:
    """Tells when a statement that begins so is about to run, and holds it for some seconds."""

    def wait(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        if sql.startswith(statement) and not reached.is_set():
            reached.set()
            threading.Event().wait(hold)

    event.listen(database.engine, "before_cursor_execute", wait)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", wait)


def condition(key: str = "k-1", episode: int = 1, subjects: Iterable[str] = ("o-1",)) -> Condition:
    return Condition(
        trigger="late_delivery",
        key=key,
        episode=episode,
        detected_at=NOON,
        subjects=tuple(Subject(key=s, customer=s.replace("o-", "c-")) for s in subjects),
    )


def plan(revision: int = 1) -> Plan:
    steps = (
        PlannedStep(id="initial", kind="initial", not_after=NOON + DAY),
        PlannedStep(id="update-1", kind="update", due=NOON + DAY, act_at=NOON + 20 * HOUR, not_after=NOON + 2 * DAY),
        PlannedStep(id="resolved", kind="resolved", not_after=NOON + 3 * DAY),
    )
    return Plan(
        revision=revision,
        playbook="late_delivery",
        playbook_version="v1",
        reason_code="where_is_my_order",
        owner="Delivery",
        approvers=("Service lead",),
        planned_at=NOON,
        recipients=1,
        not_told=0,
        pages=(PageRange(channel="sms", first=0, count=1),),
        root="r",
        remind_at=NOON + HOUR,
        escalate_at=NOON + 2 * HOUR,
        decide_by=NOON + 3 * HOUR,
        valid_until=NOON + DAY,
        steps=steps,
        window=3 * DAY,
        watermark_timeout=DAY,
        reconcile_after=timedelta(seconds=30),
    )


def proposal(outreach: str = OUTREACH, revision: int = 1) -> Proposal:
    return Proposal(
        environment="test",
        outreach=outreach,
        revision=revision,
        playbook="late_delivery",
        playbook_version="v1",
        steps={},
        audience_root="r",
        audience_count=1,
        channels={"sms": 1},
        purpose="service",
        promises={},
        decide_by=NOON + 3 * HOUR,
        valid_until=NOON + DAY,
        nonce="n-1",
    )


def claim(database: Database, outreach: str = OUTREACH) -> Outreaches:
    """Claims an outreach, whose key is its id's, and returns the class that did it."""
    outreaches = Outreaches(database)
    assert outreaches.claim(outreach, condition(outreach.split("/")[-2]), run="run-1", now=NOON)
    return outreaches


def freeze(database: Database, outreach: str = OUTREACH, revision: int = 1) -> Outreaches:
    """Opens and freezes a revision of a claimed outreach."""
    outreaches = Outreaches(database)
    outreaches.keep_playbook("v1", "late_delivery", "text", now=NOON)
    outreaches.open_revision(outreach, revision, "v1", now=NOON)
    outreaches.freeze(outreach, plan(revision), proposal(outreach, revision))
    return outreaches


def customers(database: Database, ids: Iterable[str]) -> Customers:
    """Keeps customers, each with an address for texts."""
    made = Customers(database)
    records = [CustomerRecord(id=id_, addresses={"sms": f"+1555{n:07d}"}) for n, id_ in enumerate(ids)]
    made.save(records, now=NOON, source="test")
    return made


def candidate(
    customer: str, subject: str = "", *, cluster: str = "", verdict: str = ELIGIBLE, channel: str = "sms"
) -> Candidate:
    return Candidate(
        subject_key=subject or customer.replace("c-", "o-"),
        customer=customer,
        cluster=cluster or customer,
        verdict=verdict,
        channel=channel,
        locale="en",
        timezone="UTC",
        address_digest=f"a-{customer}",
        facts={"order_id": "o"},
    )


def paged(
    database: Database,
    candidates: Sequence[Candidate],
    *,
    outreach: str = OUTREACH,
    revision: int = 1,
    size: int = 500,
) -> Recipients:
    """Adds candidates, folds them and freezes their pages."""
    recipients = Recipients(database)
    recipients.add(outreach, revision, candidates, first=0)
    recipients.fold_customers(outreach, revision)
    number = 0
    while rows := recipients.unpaged(outreach, revision, "sms", size):
        recipients.add_page(outreach, revision, number, "sms", {r.id: f"content-{r.id}" for r in rows}, f"d-{number}")
        number += 1
    return recipients


def by(
    share: float = 0.0,
    *,
    everywhere: float = 0.0,
    everyone: bool = False,
    phases: int = 1,
    salt: str = "holdout-v1",
    t0: datetime = NOON,
    cap: int = 3,
    cap_exempt: bool = False,
    urgency: Urgency = "urgent",
    hours: HourRules | None = None,
    not_after: datetime = NOON + 30 * DAY,
) -> Randomisation:
    """Returns how to randomise; what is urgent waits for no other outreach."""
    return Randomisation(
        holdouts=Holdouts(own=share, everywhere=everywhere, everyone=everyone, phases=phases, phase=DAY),
        salt=salt,
        t0=t0,
        window=3 * DAY,
        cap=FrequencyCap(count=cap, period=7 * DAY),
        cap_exempt=cap_exempt,
        urgency=urgency,
        hours=hours,
        not_after=not_after,
    )
