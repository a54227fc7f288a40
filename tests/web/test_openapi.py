"""The published API against the running one: whatever is posted, no answer is a fault of ours or undocumented."""

import json
import zlib
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, unquote

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tellfirst.settings import Settings
from tellfirst.store.engine import Database
from tellfirst.web.app import create_app
from tellfirst.web.inbox import HEADER, inbox_token
from tests.contract.publish import FOLDER
from tests.store.conftest import migrated_sqlite, shared_database
from tests.web.signing import NOON, SECRETS, given, sendgrid, twilio, webhook

__all__ = ["migrated_sqlite", "shared_database"]

INBOX = "inbox-secret-of-at-least-so-many-characters"
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


class Signing:
    """Signs three requests in four as their path wants it, so that what is behind the signature is tried too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        if zlib.crc32(body + scope["query_string"]) % 4:
            signed = _signature(scope["path"], scope["query_string"].decode("latin-1"), body)
            kept = [(k, v) for k, v in scope["headers"] if k.decode("latin-1") not in {name.lower() for name in signed}]
            scope = {**scope, "headers": [*kept, *((k.lower().encode(), v.encode()) for k, v in signed.items())]}
        await self._app(scope, again, send)


def _signature(path: str, query: str, body: bytes) -> dict[str, str]:
    first = path.split("/")[1]
    if first == "inbox":
        return {HEADER: inbox_token(INBOX.encode(), unquote(path.split("/")[2]))}
    if first == "twilio":
        form = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
        return {"X-Twilio-Signature": twilio(f"{path}?{query}" if query else path, form)[1]["X-Twilio-Signature"]}
    try:
        body.decode()
    except UnicodeDecodeError:
        return {}
    made = sendgrid(body) if first == "sendgrid" else {}
    if first in SECRETS:
        made = webhook(body, SECRETS[first], names="svix" if first == "resend" else "webhook")
    return {name: value for name, value in made.items() if name != "content-type"}


PUBLISHED = json.loads((FOLDER / "openapi.json").read_text())
# The stream never ends.
OPERATIONS = [(path, way) for path, ways in PUBLISHED["paths"].items() for way in ways if not path.endswith("/stream")]


@pytest.fixture(scope="module")
def api(shared_database: Database) -> Any:
    """Returns the API of an installation that has every secret."""
    made = Settings.load(_env_file=None, inbox_secret=INBOX, **given())
    app = Signing(create_app(made, shared_database, clock=lambda: NOON))
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.parametrize("shared_database", ["postgresql"], indirect=True)  # the stricter of the two
@pytest.mark.parametrize(("path", "way"), OPERATIONS, ids=lambda part: part.strip("/"))
def test_no_answer_is_a_fault_of_ours(api: Any, path: str, way: str) -> None:
    answers: Counter[int] = Counter()

    @hypothesis.settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @hypothesis.given(
        api[path][way.upper()].as_strategy() | api[path][way.upper()].as_strategy(GenerationMode.NEGATIVE)
    )
    def post(case: schemathesis.Case) -> None:
        answers[case.call_and_validate(checks=CHECKS).status_code] += 1

    post()
    assert answers.total() > 0
