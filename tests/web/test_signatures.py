"""Signed requests: what fits is read, and what is forged, stale, changed or without end is not."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from fastapi import FastAPI, Request, Response
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr

from tellfirst.errors import SettingsError
from tellfirst.settings import Settings
from tellfirst.web import bodies
from tellfirst.web.signatures import Verifier
from tests.web.signing import NOON, SECRETS, webhook

OLD, NEW = SECRETS["contacts"], SECRETS["events"]
BODY = '{"näme": "wert"}'.encode()


def client_of(*secrets: str, limit: int = 1_000) -> AsyncClient:
    app = FastAPI()
    verifier = Verifier([SecretStr(s) for s in secrets], setting="TELLFIRST_X_SECRETS", clock=lambda: NOON)

    @app.post("/")
    async def echo(request: Request) -> Response:
        signed = await verifier.read(request, limit=limit)
        return Response(signed.id + "|" + signed.body.decode())

    return AsyncClient(transport=ASGITransport(app), base_url="http://inside")


@pytest.mark.parametrize("secret", [OLD, NEW])
async def test_either_secret_fits_while_one_replaces_the_other(secret: str) -> None:
    async with client_of(NEW, OLD) as client:
        answer = await client.post("/", content=BODY, headers=webhook(BODY, secret))
    assert (answer.status_code, answer.text) == (200, "msg_1|" + BODY.decode())


async def test_one_of_several_signatures_is_enough() -> None:
    headers = webhook(BODY, OLD)
    headers["webhook-signature"] = (
        "v1a,xx v1,!! " + webhook(BODY, NEW)["webhook-signature"] + " " + headers["webhook-signature"]
    )
    async with client_of(OLD) as client:
        assert (await client.post("/", content=BODY, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(int(NOON.timestamp()) + 1)},
        {"webhook-timestamp": f"{int(NOON.timestamp())}.0"},
        {"webhook-timestamp": "١٧٧٢٣٦٦٤٠٠"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v2," + webhook(BODY, OLD)["webhook-signature"][3:]},
        webhook(BODY, NEW),
        webhook(BODY, OLD, at=NOON - timedelta(seconds=301)),
        webhook(BODY, OLD, at=NOON + timedelta(seconds=301)),
        webhook(BODY + b" ", OLD),
    ],
)
async def test_what_does_not_fit_is_refused(change: dict[str, str]) -> None:
    headers = {name: value.encode() for name, value in {**webhook(BODY, OLD), **change}.items()}
    async with client_of(OLD) as client:
        answer = await client.post("/", content=BODY, headers=headers)
    assert answer.status_code == 403
    assert "TELLFIRST_X_SECRETS" in answer.json()["detail"]


@pytest.mark.parametrize("seconds", [-300, 300])
async def test_clocks_may_differ_by_five_minutes(seconds: int) -> None:
    async with client_of(OLD) as client:
        headers = webhook(BODY, OLD, at=NOON + timedelta(seconds=seconds))
        assert (await client.post("/", content=BODY, headers=headers)).status_code == 200


async def test_bytes_that_are_no_text_are_nobodys() -> None:
    async with client_of(OLD) as client:
        assert (await client.post("/", content=b"\xff", headers=webhook(b"", OLD))).status_code == 403


async def test_a_body_without_end_is_cut_off() -> None:
    seen = []

    async def stream() -> AsyncIterator[bytes]:
        for number in range(100):
            seen.append(number)
            yield b"a" * 300

    async with client_of(OLD) as client:
        assert (await client.post("/", content=stream())).status_code == 413


async def test_whoever_dribbles_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PATIENCE", 0.05)

    async def dribble() -> AsyncIterator[bytes]:
        while True:
            yield b"a"
            await asyncio.sleep(0.01)

    async with client_of(OLD) as client, asyncio.timeout(5):
        assert (await client.post("/", content=dribble())).status_code == 408


async def test_another_type_is_refused() -> None:
    async with client_of(OLD) as client:
        headers = {**webhook(BODY, OLD), "content-type": "text/plain; charset=utf-8"}
        assert (await client.post("/", content=BODY, headers=headers)).status_code == 415
        headers["content-type"] = "Application/JSON; charset=utf-8"
        assert (await client.post("/", content=BODY, headers=headers)).status_code == 200


async def test_without_a_secret_it_names_the_setting() -> None:
    async with client_of() as client:
        answer = await client.post("/", content=BODY, headers=webhook(BODY, OLD))
    assert answer.status_code == 503
    assert "TELLFIRST_X_SECRETS" in answer.json()["detail"]


def test_a_secret_that_is_not_one_is_named_by_its_setting() -> None:
    with pytest.raises(SettingsError, match=r"^TELLFIRST_X_SECRETS: "):
        Verifier((SecretStr("abc"),), setting="TELLFIRST_X_SECRETS", clock=lambda: NOON)


def test_one_secret_is_not_that_of_two_sources() -> None:
    assert Settings.load(_env_file=None, contacts_secrets=f"{OLD} {NEW}").contacts_secrets[1].get_secret_value() == NEW
    with pytest.raises(SettingsError, match=r"^[^:]+: each source of webhooks needs secrets of its own"):
        Settings.load(_env_file=None, contacts_secrets=f"{OLD} {NEW}", events_secrets=NEW)
