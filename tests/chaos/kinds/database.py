"""The database is locked, full, read-only, cut off or killed while texts leave: nobody is asked without an intent."""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

from sqlalchemy.engine import make_url
from sqlmodel import col, select

from tellfirst.store.tables import SendRow
from tests.chaos.place import Place, Told, number_of
from tests.chaos.postmaster import Postmaster
from tests.chaos.report import Tallies
from tests.faults.installation import until

TIMES = 10
"""Faults in one round."""
PEOPLE = 64
"""Recipients of an outreach that leaves meanwhile: seven pages, of which four leave at once."""
WHOLE = 1_073_741_823
"""Pages that a file of SQLite may have when nobody says otherwise."""
LONG = 4.0
"""Seconds for which a table is locked: a page is held for three."""
HEALTHY = ("PRAGMA busy_timeout=10000", "PRAGMA query_only=0", f"PRAGMA max_page_count={WHOLE}")
CONTROL = "request without an intent"

Fault = Callable[[Place], AbstractAsyncContextManager[None]]


async def troubled(kind: str, fault: Fault, place: Place, seen: Tallies, dice: Random) -> None:
    """Has a fault again and again while texts leave, until it was felt, and looks that each text had its intent."""
    if place.database.is_sqlite is not kind.startswith("sqlite"):
        return
    told: list[Told] = []
    for _ in range(TIMES):
        told.append(await place.tell(PEOPLE))
        await until(partial(came, place, told[-1], dice.randint(1, PEOPLE // 4)), 120)
        before = place.trouble.refused()
        async with fault(place):
            await until(partial(over, place, told[-1], before), 60)
        if place.trouble.refused() > before:  # what needs no more room is not stopped by a full disk
            seen.fault(kind, in_flight=place.sends.tally(told[-1].outreach).in_doubt)
        if bare := unintended(place, told):
            seen.wrong(f"{kind}: {bare} requests without an intent")
    seen.saw(await place.outcome(told))
    if bare := unintended(place, told):
        seen.wrong(f"{kind}: {bare} requests without an intent")


def over(place: Place, told: Told, before: int) -> bool:
    """Says whether something was refused since, or nothing is left that could be."""
    return place.trouble.refused() > before or came(place, told, PEOPLE)


def came(place: Place, told: Told, least: int) -> bool:
    """Says whether so many texts of an outreach came to the provider."""
    texts = place.texts()
    return sum(texts[number] for number in told.numbers) >= least


def unintended(place: Place, told: list[Told]) -> int:
    """Counts the texts of outreaches that the provider has and of which no intent was committed."""
    texts = place.texts()  # read first: an intent is there before its text
    with place.database.read() as session:
        asked = session.exec(
            select(SendRow.customer_id).where(
                col(SendRow.outreach_id).in_([one.outreach for one in told]), col(SendRow.intent_at).is_not(None)
            )
        )
        intended = {number_of(int(customer.removeprefix("c-"))) for customer in asked}
    return sum(texts[number] for one in told for number in one.numbers - intended)


# -- SQLite


@asynccontextmanager
async def ailing(statement: str, place: Place) -> AsyncIterator[None]:
    """Lets the connections of all workers be told something that ails them."""
    place.trouble.tell(statement)
    try:
        yield
    finally:
        place.trouble.tell(*HEALTHY)


@asynccontextmanager
async def file_locked(place: Place) -> AsyncIterator[None]:
    """Locks the file for longer than writers wait, which is a second here."""
    place.trouble.tell("PRAGMA busy_timeout=1000")
    lock = sqlite3.connect(
        make_url(place.settings.database).database or "", timeout=60, isolation_level=None, check_same_thread=False
    )
    try:
        await asyncio.to_thread(lock.execute, "BEGIN IMMEDIATE")
        yield
    finally:
        lock.close()
        place.trouble.tell(*HEALTHY)


# -- PostgreSQL


def server(place: Place) -> Postmaster:
    """Returns the server of a place's database."""
    return Postmaster(place.settings.database)


@asynccontextmanager
async def killed(place: Place) -> AsyncIterator[None]:
    """Kills the server with all its processes, and starts it again."""
    postmaster = server(place)
    await asyncio.to_thread(postmaster.kill)
    try:
        yield
    finally:
        await postmaster.start()


@asynccontextmanager
async def cut(place: Place) -> AsyncIterator[None]:
    """Cuts every connection, again and again."""
    postmaster = server(place)

    over = asyncio.Event()

    async def cutting() -> None:
        while not over.is_set():
            await asyncio.to_thread(postmaster.run, CUT)

    async with asyncio.TaskGroup() as beside:
        beside.create_task(cutting())
        try:
            yield
        finally:
            over.set()


@asynccontextmanager
async def read_only(place: Place) -> AsyncIterator[None]:
    """Lets every new connection read alone, as a standby does, and cuts the others."""
    postmaster = server(place)
    name = make_url(place.settings.database).database
    postmaster.run(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on', CUT)
    try:
        yield
    finally:
        postmaster.run(
            "SET default_transaction_read_only = off",
            f'ALTER DATABASE "{name}" RESET default_transaction_read_only',
            CUT,
        )


@asynccontextmanager
async def full(place: Place) -> AsyncIterator[None]:
    """Refuses what writes the effect log, as a full disk does."""
    postmaster = server(place)
    postmaster.run(
        "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON sends EXECUTE FUNCTION full_disk()",
    )
    try:
        yield
    finally:
        postmaster.run("DROP TRIGGER full_disk ON sends")


@asynccontextmanager
async def table_locked(place: Place) -> AsyncIterator[None]:
    """Locks the effect log until somebody waits for it, and then for longer than a page is held without a word."""
    postmaster = server(place)
    with postmaster.connect() as lock:
        lock.execute("BEGIN; LOCK TABLE sends IN ACCESS EXCLUSIVE MODE")
        await until(lambda: lock.execute(WAITING).fetchone() != (0,), 60)
        await asyncio.sleep(LONG)
        place.trouble.note("waited for a lock")
        yield


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
FAULTS: dict[str, Fault] = {
    "sqlite locked": file_locked,
    "sqlite full": partial(ailing, "PRAGMA max_page_count=1"),
    "sqlite read-only": partial(ailing, "PRAGMA query_only=1"),
    "postgresql killed": killed,
    "postgresql cut": cut,
    "postgresql locked": table_locked,
    "postgresql full": full,
    "postgresql read-only": read_only,
}


# -- the control


async def control(place: Place, seen: Tallies, dice: Random) -> None:
    """Has workers that forget their intents, in a place of their own: texts without intents must be found."""
    if CONTROL in seen.controls:
        return
    with tempfile.TemporaryDirectory() as folder:
        async with Place(Path(folder)) as other:
            other.people(0)
            other.environment["CHAOS_CONTROL"] = "forgetful"
            async with other.working(1):
                told = await other.tell(1)
                await until(lambda: came(other, told, 1), 60)
            seen.controls[CONTROL] = unintended(other, [told]) > 0


ROUNDS: tuple[Callable[[Place, Tallies, Random], Awaitable[None]], ...] = (
    *(partial(troubled, kind, fault) for kind, fault in FAULTS.items()),
    control,
)
