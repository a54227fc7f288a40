"""Canaries in every personal field of one life: found in no sink, and found where one is let out on purpose."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx
import pytest

from tellfirst.channels.feed_file import Endpoint
from tellfirst.channels.webhook import Delivery
from tellfirst.contract import feed_id
from tellfirst.domain.message import Answer, Outbound
from tellfirst.settings import Settings
from tellfirst.web.app import create_app
from tests.cli.conftest import Shell
from tests.figures import Figure
from tests.replay.reading import words
from tests.web.signing import given
from tests.world import World
from workers.pool import start_feeds

NAME, NUMBER, MAIL = "Marguerite-0815", "+14155550815", "canary.0815@example.org"
CANARIES = (NAME, NUMBER, NUMBER[1:], MAIL, "canary.0815")
PERSONAL = {
    "customers", "contact_points", "recipients", "alternates", "consents", "inbox", "replies", "account_events",
}  # fmt: skip
"""Tables that hold what docs/security.md says they do; every other one holds none of it."""

COMMANDS = """
show OUTREACH | show OUTREACH --json | stuck --json | who OUTREACH --json | replies OUTREACH | replies OUTREACH --json
load --json | report --json --csv CSV --html HTML | verify | customers forget NOBODY --yes | channels when NOBODY
exceptions list --json | contacts sources --json
""".replace("\n", " | ")
"""What people and machines read; whatever asks for more than that, `replies --text` or `calls show`, says so."""


class Told:
    """Is a system that is told everything: it keeps what is posted to it."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    async def deliver(self, id_: str, body: bytes, *, now: datetime) -> Delivery:
        self.bodies.append(f"{id_} {body.decode()}")
        return Delivery(acknowledged=True, detail="204")

    async def close(self) -> None:
        """Has nothing to close."""


def found(sinks: dict[str, str]) -> set[tuple[str, str]]:
    """Returns each canary with the sink that it stands in, but for first names in texts to approve."""
    all_of_it = {(sink, canary) for sink, text in sinks.items() for canary in CANARIES if canary in text}
    return {(sink, canary) for sink, canary in all_of_it if (canary, *sink.split()[:2]) != (NAME, "tellfirst", "show")}


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
        "logs": logged(caplog),
        "anchor": "".join(file.read_text() for file in world.folder.rglob("*.anchor")),
    }
    with sqlite3.connect(world.folder / "tellfirst.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert set(tables) >= {"audit", "sends", "notices"} or "sends" in tables
        for table in set(tables) - PERSONAL:
            texts[f"table {table}"] = json.dumps(database.execute(f"SELECT * FROM {table}").fetchall(), default=str)
    return texts


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Returns what stands in the logs, with the traces of failures; clients of this test log what they post."""
    kept = (one for one in caplog.records if not one.name.startswith(("httpx", "httpcore")))
    return "\n".join(logging.Formatter("%(name)s %(message)s").format(one) + f" {one.__dict__}" for one in kept)


async def listened(world: World) -> Told:
    """Lets a system be told everything from now on."""
    told, path, name = Told(), world.folder / "events.toml", f"all-{world.key}"
    path.write_text(f'[[endpoint]]\nname = "{name}"\nurl = "http://127.0.0.1:1/"\nsecrets = ["whsec_{"a2" * 32}"]\n')
    await world.with_settings(events_out=path)
    assert world.app is not None
    world.app.endpoints[name] = Endpoint(told, ("*",))  # type: ignore[index]
    await start_feeds(world.app, world.env.client)
    world.ends(world.env.client.get_workflow_handle(feed_id(name)))
    return told


async def commanded(world: World, outreach: str) -> dict[str, str]:
    """Returns what each command says and writes."""
    shell = Shell(world.folder, TEMPORAL_ADDRESS=world.env.client.service_client.config.target_host)
    files = {"CSV": world.folder / "report.csv", "HTML": world.folder / "report.html"}
    names = {"OUTREACH": outreach, "NOBODY": "nobody", **{name: str(path) for name, path in files.items()}}
    said = {}
    for line in filter(None, (line.strip() for line in COMMANDS.split("|"))):
        done = await shell.run(*(names.get(word, word) for word in line.split()))
        assert done.code in (0, 1), (line, done.err)
        said[f"tellfirst {line}"] = done.out + done.err
    return said | {f"report {name}": path.read_text() for name, path in files.items()}


async def shown(world: World, outreach: str) -> dict[str, str]:
    """Returns the pages of the dashboard, and what is answered to strangers who name a customer."""
    assert world.app is not None
    settings = world.settings.model_copy(update={"public_url": ""})
    app = create_app(settings, world.app.database)
    outside = create_app(Settings.load(_env_file=None, data_dir=world.folder, **given()), world.app.database)
    said = {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("127.0.0.1", 1)), base_url="http://127.0.0.1:8090"
    ) as browser:
        for path in ("/dashboard", f"/dashboard/{outreach}", "/healthz", "/openapi.json"):
            answer = await browser.get(path)
            assert answer.status_code == 200, path
            said[path] = answer.text + str(answer.headers)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outside), base_url="http://hooks") as browser:
        for path in ("/twilio/inbound", "/contacts", "/replies", "/conditions", "/events"):
            answer = await browser.post(path, content=f"From={NUMBER}&Body={NAME} {MAIL}")
            said[f"POST {path}"] = answer.text
    return said


async def test_what_customers_are_stands_nowhere_else(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    caplog.set_level(logging.DEBUG)
    told = await listened(world)  # an application that is made at this level, as a process would
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
    world.customer("c-2", first_name=NAME, addresses={"sms": NUMBER, "email": MAIL})
    again = await world.start(world.late("o-2", key=f"{world.key}-b"))
    await world.approve(again.id)
    await world.until(lambda: world.sends.tally(again.id).accepted == 1)
    world.contacts_known()
    await world.finish(handle)
    await world.until(lambda: any("outcome.recorded" in body for body in told.bodies))
    texts = await sinks(world, handle, caplog) | await commanded(world, handle.id) | await shown(world, handle.id)
    texts["events out"] = "\n".join(told.bodies)
    assert {"message.sent", "outreach.planned"} <= {json.loads(b.partition(" ")[2])["type"] for b in told.bodies}
    texts["logs"] = logged(caplog)
    assert found(texts) == set()
    figure(f"canaries: {len(CANARIES)} in a life that failed, {len(texts)} sinks, 0 found")
    logging.getLogger("tellfirst").warning("a known leak: %s", NUMBER)
    assert found(await sinks(world, handle, caplog)) == {("logs", NUMBER), ("logs", NUMBER[1:])}, "a control"
