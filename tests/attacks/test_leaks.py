"""Canaries in every personal field of one life: found in no sink, and found where one is let out on purpose."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from tellfirst.domain.message import Answer, Outbound
from tests.figures import Figure
from tests.replay.reading import words
from tests.world import World

NAME, NUMBER, MAIL = "Marguerite-0815", "+14155550815", "canary.0815@example.org"
CANARIES = (NAME, NUMBER, NUMBER[1:], MAIL, "canary.0815")
PERSONAL = {
    "customers", "contact_points", "recipients", "alternates", "consents", "inbox", "replies", "account_events",
}  # fmt: skip
"""Tables that hold what docs/security.md says they do; every other one holds none of it."""


def found(sinks: dict[str, str]) -> set[tuple[str, str]]:
    """Returns each canary with the sink that it stands in."""
    return {(sink, canary) for sink, text in sinks.items() for canary in CANARIES if canary in text}


async def sinks(world: World, handle: Any, caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    """Returns what stands in every sink, as text."""
    path = world.folder / "history.json"
    path.write_text((await handle.fetch_history()).to_json())
    described = await handle.describe()
    texts = {
        "history": words(path),
        "failures": path.read_text(),
        "describe": f"{described.id} {described.typed_search_attributes} {await described.memo()} {described.raw_info}",
        "details": str(described.raw_description),
        "view": (await world.client.view(handle.id)).model_dump_json(),
        "logs": "\n".join(f"{one.getMessage()} {one.exc_text or one.exc_info or ''}" for one in caplog.records),
        "anchor": "".join(file.read_text() for file in world.folder.rglob("*.anchor")),
    }
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert set(tables) >= {"audit", "sends", "notices"} or "sends" in tables
        for table in set(tables) - PERSONAL:
            texts[f"table {table}"] = json.dumps(database.execute(f"SELECT * FROM {table}").fetchall(), default=str)
    return texts


async def test_what_customers_are_stands_nowhere_else(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    caplog.set_level(logging.INFO)
    world.customer("c-1", first_name=NAME, addresses={"sms": NUMBER, "email": MAIL})
    send = world.sms.send
    tried = asyncio.Event()

    async def breaks(batch: Sequence[Outbound], *, now: datetime) -> list[Answer]:
        if not tried.is_set():
            tried.set()
            # The words of a library that fails: whom, where and what.
            raise RuntimeError(f"cannot reach {batch[0].address}: {batch[0].rendered.body} {NAME}")
        return await send(batch, now=now)

    monkeypatch.setattr(world.sms, "send", breaks)
    handle = await world.start(world.late("o-1"))
    await world.approve(handle.id)
    await asyncio.wait_for(tried.wait(), 30)
    await world.until(lambda: world.sends.tally(handle.id).planned == 0)
    texts = await sinks(world, handle, caplog)
    assert found(texts) == set()
    figure(f"canaries: {len(CANARIES)} in a life that failed, {len(texts)} sinks, 0 found")
    logging.getLogger("tellfirst").warning("a known leak: %s", NUMBER)
    assert found(await sinks(world, handle, caplog)) == {("logs", NUMBER), ("logs", NUMBER[1:])}, "a control"
