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
from tellfirst.domain.message import Rendered
from tests.channels.conftest import Make, outbound
from tests.provider import Provider

IN_NODE_MODULES = "node_modules/@twilio/cli-core/src/services/twilio-api/twilio_api_v2010.json"
RESOURCE = "/2010-04-01/Accounts/{AccountSid}/Messages.json"


@pytest.fixture(scope="module")
def referee() -> Draft202012Validator:
    root = Path(__file__).parents[2]
    document = Path(os.environ.get("TWILIO_OPENAPI") or root / IN_NODE_MODULES)
    if not document.exists():
        pytest.skip(f"Twilio's OpenAPI document is not at {document}: npm install @twilio/cli-core, or TWILIO_OPENAPI")
    described = json.loads(document.read_text())
    body = described["paths"][RESOURCE]["post"]["requestBody"]
    schema = body["content"]["application/x-www-form-urlencoded"]["schema"]
    # Unknown fields are refused: a misspelt one would be silently ignored by the provider.
    return Draft202012Validator({**schema, "additionalProperties": False, "components": described["components"]})


def typed(form: dict[str, str], schema: Any) -> dict[str, object]:
    """Returns the form with the types its schema declares, because on the wire all is text."""
    read: dict[str, Callable[[str], object]] = {
        "integer": int,
        "boolean": lambda text: {"true": True, "false": False}[text],
    }
    declared = {name: schema["properties"].get(name, {}).get("type", "string") for name in form}
    return {name: read.get(declared[name], str)(value) for name, value in form.items()}


def complaints(referee: Draft202012Validator, form: dict[str, str]) -> list[str]:
    return [error.message for error in referee.iter_errors(typed(form, referee.schema))]


@pytest.fixture(params=["service", "number"])
def sender(request: pytest.FixtureRequest, provider: Provider) -> str:
    return provider.service_sid if request.param == "service" else "+15550109999"


async def test_what_we_send_is_what_twilio_describes(
    referee: Draft202012Validator, provider: Provider, make: Make, sender: str
) -> None:
    sms: TwilioSms = make(sender=sender, status_callback=lambda send_id: f"https://tell.example/receipts/{send_id}")
    at = datetime.now(UTC)
    batch = [
        outbound("s-1", "+15550100001", not_after=at + timedelta(seconds=2)),
        outbound("s-2", "+15550100002", not_after=at + timedelta(days=3)),
        outbound("s-3", "+15550100003", rendered=Rendered(body="Déjà vu: 5 € & “more”\n" * 10)),
    ]
    await sms.send(batch, now=at)
    forms = [record["form"] for record in provider.accepted()]
    assert len(forms) == 3
    assert [complaints(referee, form) for form in forms] == [[], [], []]


@pytest.mark.parametrize(
    "wrong",
    [
        {"To": None},
        {"MessagingServiceSid": "MG-too-short"},
        {"Boddy": "misspelt"},
        {"RiskCheck": "perhaps"},
    ],
)
def test_the_referee_sees_wrong_forms(referee: Draft202012Validator, provider: Provider, wrong: dict[str, str]) -> None:
    right: dict[str, str | None] = {"To": "+15550100001", "MessagingServiceSid": provider.service_sid, "Body": "Hello."}
    assert complaints(referee, {name: value for name, value in (right | wrong).items() if value is not None})
