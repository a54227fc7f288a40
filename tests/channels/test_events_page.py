"""docs/events.md cannot lie: its file can be read, its types are all there are, and its receiver works as printed."""

import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest

from activities.feed import REFUSALS, body_of
from tellfirst.channels.feed_file import read_endpoints
from tellfirst.channels.webhook import Webhook
from tellfirst.domain.feed import HAPPENINGS
from tellfirst.errors import SettingsError
from tellfirst.store.feed import FeedEvent
from tests.ports import free_port

PAGE = (Path(__file__).parents[2] / "docs/events.md").read_text()
SECRET, NEW, OTHER = ("whsec_" + base64.b64encode(letter * 24).decode() for letter in (b"k", b"n", b"o"))


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def written(folder: Path, text: str) -> Path:
    path = folder / "events.toml"
    path.write_text(text)
    return path


async def test_the_file_that_is_shown_can_be_read(tmp_path: Path) -> None:
    endpoints = read_endpoints(written(tmp_path, block("toml")))
    assert endpoints["helpdesk"].types == ("message.*", "customer.*", "exception.changed")
    await endpoints["helpdesk"].hook.close()
    assert read_endpoints(None) == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"customer.*"', '"costumer.*"', "no event is of the type 'costumer.*'"),
        ('name = "helpdesk"', 'name = "Help desk"', "endpoint.0.name"),
        ("whsec_bmV3", "bmV3", "endpoint 'helpdesk': the secret of a webhook is not one"),
        ("https://helpdesk", "ftp://helpdesk", "endpoint 'helpdesk': the address of a webhook is not one"),
        ("secrets =", "secret =", "endpoint.0.secrets"),
        ("[[endpoint]]", block("toml") + "[[endpoint]]", "each endpoint needs a name of its own"),
        ("[[endpoint]]", "[[endpoint]", "not TOML"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_endpoints(written(tmp_path, block("toml").replace(old, new, 1)))
    assert said in str(refused.value)
    assert "events.toml" in str(refused.value)
    assert "bmV3" not in str(refused.value)


def test_every_type_and_field_is_explained() -> None:
    rows = dict(re.findall(r"^\| `([a-z._]+)` \|(.*)$", PAGE, re.MULTILINE))
    assert set(rows) == set(HAPPENINGS)
    common = rows["message.sent"]
    for type_, kind in HAPPENINGS.items():
        told = rows[type_] + (common if "the same" in rows[type_] else "") + "`outreach`"
        assert [name for name in kind.model_fields if f"`{name}`" not in told] == [], type_


def test_what_refuses_is_explained() -> None:
    (listed,) = re.findall(r"^- A (400[\d, or]*\d) refuses one event", PAGE, re.MULTILINE)
    assert set(re.findall(r"\d+", listed)) == REFUSALS


def test_the_body_that_is_shown_is_of_its_schema() -> None:
    body = json.loads(block("json"))
    schema = json.loads((Path(__file__).parents[2] / f"docs/contract/events/{body['type']}.json").read_text())
    jsonschema.validate(body, schema)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    (tmp_path / "receiver.py").write_text(block("python"))
    port, timeline = free_port(), tmp_path / "timeline.jsonl"
    command = [sys.executable, "receiver.py", str(port), str(timeline)]
    environment = {"PATH": os.environ["PATH"], "TIMELINE_SECRETS": f"{OTHER} {SECRET}"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < until:
            try:
                httpx.get(f"http://127.0.0.1:{port}", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/hook", timeline
        process.kill()


async def test_the_receiver_takes_each_event_once_and_nothing_forged(receiver: tuple[str, Path]) -> None:
    url, timeline = receiver
    now = datetime.now(UTC)

    async def post(id_: str, *secrets: str, at: datetime = now, customer: str = "c-17") -> str:
        event = FeedEvent(number=1, id=id_, type="message.sent", customer=customer, at=now, data={}, attempts=0)
        hook = Webhook(url, *secrets)
        delivery = await hook.deliver(id_, body_of(event), now=at)
        await hook.close()
        return delivery.detail

    assert await post("evt_1", SECRET) == "204"
    assert await post("evt_1", SECRET) == "204"
    assert await post("evt_2", NEW, SECRET) == "204"
    assert await post("evt_3", NEW) == "401"
    assert await post("evt_4", SECRET, at=now - timedelta(minutes=6)) == "401"
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(url, content=b"{}")).status_code == 401
    told = [json.loads(line) for line in timeline.read_text().splitlines()]
    assert [event["id"] for event in told] == ["evt_1", "evt_2"]
    assert told[0]["data"] == {"customer": "c-17"}
