"""The codec server: it decrypts for the Temporal UI of its own machine, or by a token, and for nobody else."""

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from temporalio.api.common.v1 import Payload, Payloads

from tellfirst.encryption import Encryption
from tellfirst.errors import SettingsError
from tellfirst.settings import Settings
from tellfirst.web import codec
from tellfirst.web.codec import create_codec

KEY = bytes(range(32))
TOKEN = "a token of 24 characters"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"Zebulon"')


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(base64.b64encode(KEY).decode())
    return path


def client(keys: Path | None, *, host: str = "127.0.0.1:8091", **given: Any) -> httpx.AsyncClient:
    app = create_codec(Settings.load(_env_file=None, payload_keys=keys, **given))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{host}")


async def body() -> dict[str, Any]:
    return MessageToDict(Payloads(payloads=await Encryption([KEY]).encode([PLAIN])))


async def test_it_decrypts_and_encrypts_as_the_ui_asks(keys: Path) -> None:
    async with client(keys) as server:
        asked = await body()
        answer = await server.post("/decode", json=asked, headers={"x-namespace": "default"})
        assert answer.json() == MessageToDict(Payloads(payloads=[PLAIN]))
        encrypted = (await server.post("/encode", json=answer.json())).json()
        assert encrypted["payloads"][0]["metadata"].keys() == {"encoding", "encryption-key-id"}
        assert (await server.post("/decode", json=encrypted)).json() == answer.json()
        assert (await server.get("/decode")).status_code == 405


@pytest.mark.parametrize("host", ["localhost:8091", "[::1]:8091"])
async def test_it_answers_by_names_of_this_machine(keys: Path, host: str) -> None:
    async with client(keys, host=host) as server:
        assert (await server.post("/decode", json=await body())).status_code == 200


async def test_a_name_that_somebody_gave_our_address_is_refused(keys: Path) -> None:
    async with client(keys, host="rebound.example") as server:
        answer = await server.post("/decode", json=await body())
        assert (answer.status_code, answer.text) == (400, "Invalid host header")


async def test_pages_of_the_ui_alone_are_answered(keys: Path) -> None:
    asking = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-namespace"}
    async with client(keys) as server:
        for origin, allowed in (("http://localhost:8233", True), ("https://elsewhere.example", False), ("null", False)):
            before = await server.options("/decode", headers={"origin": origin, **asking})
            after = await server.post("/decode", json=await body(), headers={"origin": origin})
            assert (before.status_code == 200) == allowed
            for answer in (before, after):
                assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
    async with client(keys, temporal_ui="https://ui.example/namespaces/default/workflows") as server:
        for origin, allowed in (("https://ui.example", True), ("http://localhost:8233", False)):
            before = await server.options("/decode", headers={"origin": origin, **asking})
            assert (before.status_code == 200) == allowed


@pytest.mark.parametrize("given", [None, "", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer caf\xe9"])
async def test_with_a_token_nothing_is_said_without_it(keys: Path, given: str | None) -> None:
    async with client(keys, host="codec.example", codec_host="0.0.0.0", codec_token=TOKEN) as server:
        headers = [] if given is None else [(b"authorization", given.encode("latin-1"))]
        answer = await server.post("/decode", json=await body(), headers=headers)
        assert answer.status_code == 401
        right = await server.post("/decode", json=await body(), headers={"authorization": f"Bearer {TOKEN}"})
        assert right.status_code == 200


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b"{", b'{"payloads": 1}', b'{"payloads":[{"data":1}]}', b'{"a":' * 100_000, b"\xff\xfe"],
    ids=["nothing", "list", "cut", "number", "data", "nested", "bytes"],
)
async def test_what_is_no_payloads_is_refused(keys: Path, content: bytes) -> None:
    async with client(keys) as server:
        answer = await server.post("/decode", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 400


async def test_a_body_without_end_is_cut_off(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "LIMIT", 1_000)
    async with client(keys) as server:
        answer = await server.post("/decode", content=b"x" * 1_001, headers={"content-type": "application/json"})
        assert answer.status_code == 413


async def test_an_altered_payload_and_an_unknown_key_are_refused_in_a_sentence(keys: Path) -> None:
    (one,) = await Encryption([KEY]).encode([PLAIN])
    other = (await Encryption([bytes(32)]).encode([PLAIN]))[0]
    one.data = one.data[:-1] + bytes([one.data[-1] ^ 1])
    async with client(keys) as server:
        for payload, sentence in ((one, "was altered"), (other, "a key that is not given")):
            answer = await server.post("/decode", json=MessageToDict(Payloads(payloads=[payload])))
            assert answer.status_code == 400
            assert sentence in answer.json()["detail"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "codec.example"])
def test_it_listens_elsewhere_by_a_token_only(keys: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="whoever reaches the codec server reads everything"):
        client(keys, codec_host=host)
    client(keys, codec_host=host, codec_token=TOKEN)


def test_without_keys_it_ends_with_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tellfirst.web.codec"]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "TELLFIRST_PAYLOAD_KEYS: there is nothing to decrypt with; give the file of keys\n"
