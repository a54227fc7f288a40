"""Our requests and our stand-in's answers, refereed by Prism between the two, from Twilio's official OpenAPI document.

It needs Node; `PRISM` names the program (`prism` of @stoplight/prism-cli), `TWILIO_OPENAPI` the document.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tellfirst.channels.sms import TwilioSms
from tellfirst.channels.voice import TwilioVoice
from tellfirst.channels.whatsapp import TwilioWhatsApp
from tellfirst.domain.message import AnswerKind
from tests.channels.conftest import CONTENT, REGISTERED, account, callback, keys, outbound, spoken, templated
from tests.provider import Provider
from tests.twilio_server import MESSAGES

WANTED = {name: os.environ.get(name, "") for name in ("PRISM", "TWILIO_OPENAPI")}
HERE = all(path and Path(path).exists() for path in WANTED.values()) and shutil.which("node")
pytestmark = pytest.mark.skipif(not HERE, reason="Prism is not here: it needs node, PRISM and TWILIO_OPENAPI")


def patched(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the document with what it leaves out: that a field with several values stands in the form repeatedly."""
    for path in document["paths"].values():
        for operation in path.values():
            if not isinstance(operation, dict):
                continue
            form = operation.get("requestBody", {}).get("content", {}).get("application/x-www-form-urlencoded", {})
            for name, declared in form.get("schema", {}).get("properties", {}).items():
                if declared.get("type") == "array":
                    form.setdefault("encoding", {})[name] = {"style": "form", "explode": True}
    return document


@pytest.fixture
def referee(provider: Provider, tmp_path: Path) -> Iterator[str]:
    """Is the address of Prism, which hands on to the local provider what fits the document."""
    document = tmp_path / "twilio.json"
    document.write_text(json.dumps(patched(json.loads(Path(WANTED["TWILIO_OPENAPI"]).read_text()))))
    # Node itself and no wrapper of it, or the process that is ended would not be the one that listens.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["node", WANTED["PRISM"], "proxy", "-h", "127.0.0.1", "-p", str(port), "--errors", str(document)]
    with subprocess.Popen([*command, provider.base_url], stdout=subprocess.PIPE, text=True) as prism:
        try:
            assert prism.stdout is not None
            next(line for line in prism.stdout if "listening on" in line)
            yield f"http://127.0.0.1:{port}"
        finally:
            prism.kill()


async def test_texts_whatsapp_and_calls_pass_prism(referee: str, provider: Provider) -> None:
    provider.content(CONTENT, REGISTERED)
    by = account(provider, base_url=referee, timeout=20)
    sms = TwilioSms(by, provider.service_sid, status_callback=callback)
    whatsapp = TwilioWhatsApp(by, "+15550109999", {"late": CONTENT}, status_callback=callback)
    voice = TwilioVoice(by, "+15550109999", action=keys, status_callback=callback)
    now = datetime.now(UTC)
    answers = [
        *await sms.send([outbound("s-1")], now=now),
        *await whatsapp.send([templated("s-2")], now=now),
        *await voice.send([spoken("s-3")], now=now),
    ]
    await by.close()
    assert [(answer.kind, answer.detail) for answer in answers] == [
        (AnswerKind.ACCEPTED, "accepted"),
        (AnswerKind.ACCEPTED, "queued"),
        (AnswerKind.ACCEPTED, "queued"),
    ]
    assert len(provider.accepted()) == 3


def test_prism_sees_a_wrong_form(referee: str, provider: Provider) -> None:
    answer = httpx.post(
        f"{referee}{MESSAGES}.json",
        data={"To": "+15550100001", "Body": "Hello.", "MessagingServiceSid": "MG-too-short"},
        auth=(provider.account_sid, provider.auth_token),
        trust_env=False,
    )
    assert answer.status_code == 422
    assert provider.accepted() == []
