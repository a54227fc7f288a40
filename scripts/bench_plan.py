"""`plan`: how long it takes to freeze a great audience, eligibility and digests included."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from bench_place import Stage, peak_mb, seconds_of
from bench_report import Benchmark, figure
from sqlmodel import SQLModel
from temporalio.client import WorkflowHandle

from tellfirst.client import OutreachClient
from tellfirst.contract import Result
from tellfirst.domain.condition import ADMITTED, Audience, Condition
from tellfirst.store.contacts import Contacts
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import AdmissionRow, ConditionRow, ContactPointRow, CustomerRow
from tests.faults.installation import Installation, until
from tests.world import FAR

Values = list[dict[str, Any]]
AT_ONCE = 10_000
OF_TEN_BY_SMS = 1
"""Of ten customers so many have no address but a number; all the others have an e-mail address and no number."""


def fill(database: Database, trigger: str, key: str, count: int) -> None:
    """Lays in customers and the ledger of one condition as an import and a sweep leave them, without their checks."""
    now = datetime.now(UTC).replace(microsecond=0)
    condition = {"trigger": trigger, "key": key, "episode": 1, "detected_at": now, "facts": {}, "parameters": {}}
    keep(database, ConditionRow, [condition])
    for first in range(0, count, AT_ONCE):
        rows = range(first, min(first + AT_ONCE, count))
        keep(database, CustomerRow, [_customer(n, now) for n in rows])
        keep(database, ContactPointRow, [_address(n) for n in rows])
        keep(database, AdmissionRow, [_admission(n, trigger, key, now) for n in rows])
    Contacts(database).save([], source="benchmark", through=FAR, now=now)


def keep(database: Database, row: type[SQLModel], values: Values) -> None:
    """Inserts rows of one table in a transaction of their own."""
    with database.write() as session:
        insert_new(session, row, values)


def _customer(n: int, now: datetime) -> dict[str, Any]:
    plain = {"business": False, "high_value": False, "created_at": now}
    return {"id": f"c-{n}", "first_name": f"Zebulon{n}", "locale": "en", "cluster": f"c-{n}", **plain}


def _address(n: int) -> dict[str, Any]:
    texted = n % 10 < OF_TEN_BY_SMS
    address = {"channel": "sms", "address": f"+1415{n:07d}"} if texted else {"channel": "email", "address": mail_of(n)}
    return {"customer_id": f"c-{n}", "usable": True, **address}


def mail_of(n: int) -> str:
    """Returns the e-mail address of customer n."""
    return f"zebulon{n}@example.org"


def _admission(n: int, trigger: str, key: str, now: datetime) -> dict[str, Any]:
    return {
        "trigger": trigger,
        "subject_key": f"{key}-{n}",
        "episode": 1,
        "condition_key": key,
        "condition_episode": 1,
        "customer_ref": f"c-{n}",
        "since": now - timedelta(days=1),
        "facts": {"order_id": f"o-{n}", "promised_at": "2026-11-20"},
        "admitted_at": now,
        "too_late": False,
    }


async def begin(place: Installation, trigger: str, key: str) -> WorkflowHandle[Any, Any]:
    """Starts the outreach of a condition that the ledger holds."""
    condition = Condition(trigger=trigger, key=key, detected_at=datetime.now(UTC), audience=Audience(query=ADMITTED))
    started = await OutreachClient(place.client).start(condition)
    return place.client.get_workflow_handle(started.outreach, result_type=Result)


async def planned(place: Installation, handle: WorkflowHandle[Any, Any]) -> None:
    """Waits for the recorded revision."""
    await until(lambda: place.outreaches.revision(handle.id, 1) is not None, 3_600)


async def plan(stage: Stage, recipients: int, runs: int) -> Benchmark:
    """Plans as many audiences as there are runs, each in a fresh worker process."""
    taken, spent, peaks = list[float](), list[float](), list[float]()
    for _ in range(runs):
        async with stage.installation(TELLFIRST_EMAIL="outbox") as place:
            await asyncio.to_thread(fill, place.database, "late_delivery", "great", recipients)
            worker = place.worker()
            before, begun = seconds_of([worker]), time.perf_counter()
            handle = await begin(place, "late_delivery", "great")
            await planned(place, handle)
            taken.append(time.perf_counter() - begun)
            spent.append(seconds_of([worker]) - before)
            peaks.append(peak_mb(worker))
            record = place.outreaches.revision(handle.id, 1)
            assert record is not None
            assert record.plan.recipients == recipients, record.plan.recipients
    return Benchmark(
        name="plan",
        database=stage.database,
        recipients=recipients,
        figures=(
            figure("start to recorded revision", taken, "s", most=120),
            figure("processor seconds of the worker", spent, "s"),
            figure("peak memory of the worker", peaks, "MB", most=600),
        ),
        note="the start of the worker process is part of it",
    )
