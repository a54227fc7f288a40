"""Our requests, refereed by a schema that is not ours: the form in Twilio's official OpenAPI document.

The npm package @twilio/cli-core brings the document; `TWILIO_OPENAPI` names another place.
"""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tellfirst.channels.sms import TwilioSms
from tellfirst.channels.voice import TwilioVoice
from tellfirst.channels.whatsapp import TwilioWhatsApp
from tellfirst.domain.message import Rendered
from tests.channels.conftest import Make, outbound, spoken, templated
from tests.provider import Provider

IN_NODE_MODULES = "node_modules/@twilio/cli-core/src/services/twilio-api/twilio_api_v2010.json"
RESOURCES = "/2010-04-01/Accounts/{AccountSid}/"
Referee = Callable[[str, dict[str, Any]], list[str]]
"""Takes Messages or Calls and a form, and returns its complaints."""


@pytest.fixture(scope="module")
def referee() -> Referee:
    root = Path(__file__).parents[2]
    document = Path(os.environ.get("TWILIO_OPENAPI") or root / IN_NODE_MODULES)
    if not document.exists():
        pytest.skip(f"Twilio's OpenAPI document is not at {document}: npm install @twilio/cli-core, or TWILIO_OPENAPI")
    described = json.loads(document.read_text())

    def complaints(resource: str, form: dict[str, Any]) -> list[str]:
        body = described["paths"][f"{RESOURCES}{resource}.json"]["post"]["requestBody"]
        schema = body["content"]["application/x-www-form-urlencoded"]["schema"]
        # Unknown fields are refused: a misspelt one would be silently ignored by the provider.
        strict = {**schema, "additionalProperties": False, "components": described["components"]}
        return [error.message for error in Draft202012Validator(strict).iter_errors(typed(form, schema))]

    return complaints


def typed(form: dict[str, Any], schema: Any) -> dict[str, object]:
    """Returns the form with the types its schema declares, because on the wire all is text."""
    read: dict[str, Callable[[Any], object]] = {
        "integer": int,
        "boolean": lambda text: {"true": True, "false": False}[text],
        "array": list,
    }
    declared = {name: schema["properties"].get(name, {}).get("type", "string") for name in form}
    return {name: read.get(declared[name], str)(value) for name, value in form.items()}


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(params=["service", "number"])
def sender(request: pytest.FixtureRequest, provider: Provider) -> str:
    return provider.service_sid if request.param == "service" else "+15550109999"


async def test_what_we_send_is_what_twilio_describes(
    referee: Referee, provider: Provider, make: Make, sender: str
) -> None:
    sms: TwilioSms = make(sender=sender, status_callback=lambda send_id: f"https://tell.example/receipts/{send_id}")
    at = now()
    batch = [
        outbound("s-1", "+15550100001", not_after=at + timedelta(seconds=2)),
        outbound("s-2", "+15550100002", not_after=at + timedelta(days=3)),
        outbound("s-3", "+15550100003", rendered=Rendered(body="Déjà vu: 5 € & “more”\n" * 10)),
    ]
    await sms.send(batch, now=at)
    forms = [record["form"] for record in provider.accepted()]
    assert len(forms) == 3
    assert [referee("Messages", form) for form in forms] == [[], [], []]


async def test_a_whatsapp_message_is_what_twilio_describes(
    referee: Referee, provider: Provider, whatsapp: TwilioWhatsApp
) -> None:
    await whatsapp.send([templated("s-1"), templated("s-2", not_after=now() + timedelta(days=3))], now=now())
    assert [referee("Messages", record["form"]) for record in provider.accepted()] == [[], []]


async def test_a_call_is_what_twilio_describes(referee: Referee, provider: Provider, voice: TwilioVoice) -> None:
    await voice.send([spoken("s-1"), spoken("s-2", locale="de")], now=now())
    assert [referee("Calls", record["form"]) for record in provider.accepted()] == [[], []]


@pytest.mark.parametrize(
    "wrong",
    [
        {"To": None},
        {"MessagingServiceSid": "MG-too-short"},
        {"Boddy": "misspelt"},
        {"RiskCheck": "perhaps"},
    ],
)
def test_the_referee_sees_wrong_forms(referee: Referee, provider: Provider, wrong: dict[str, str]) -> None:
    right: dict[str, str | None] = {"To": "+15550100001", "MessagingServiceSid": provider.service_sid, "Body": "Hello."}
    assert referee("Messages", {name: value for name, value in (right | wrong).items() if value is not None})


@pytest.mark.parametrize(
    "wrong", [{"To": None}, {"From": None}, {"TwiML": "misspelt"}, {"StatusCallbackMethod": "PUSH"}]
)
def test_the_referee_sees_wrong_calls(referee: Referee, wrong: dict[str, str | None]) -> None:
    right = {"To": "+15550100001", "From": "+15550109999", "Twiml": "<Response/>", "StatusCallbackMethod": "POST"}
    form = {name: value for name, value in (right | wrong).items() if value is not None}
    assert referee("Calls", form)
