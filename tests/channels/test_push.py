"""FCM: requests as Google's own description has them, answers told apart by their details, and tokens fetched aside."""

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tellfirst.channels.push import ERRORS, MOST_BYTES, OF_FCM, OF_REQUEST, FcmPush, classify, size
from tellfirst.domain.message import Answer, AnswerKind, Outbound, Rendered
from tellfirst.errors import SettingsError
from tellfirst.playbooks.pushed import LONGEST_BODY, LONGEST_TITLE, too_long
from tests.figures import Figure
from tests.json_server import JsonServer, Posted, Reply

TITLE, BODY = "Ihre Zahlung ist noch offen", "Bitte prüfen Sie Ihre Zahlungsart in der App. 🎉"


class Google:
    """Gives out access tokens and takes messages, whichever is asked for."""

    def __init__(self) -> None:
        self.tokens = 0
        self.token_trouble: list[Reply] = []
        self.messages: list[dict[str, Any]] = []

    def take(self, posted: Posted) -> Reply:
        if posted.target == "/token":
            assert parse_qs(posted.text)["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            if self.token_trouble:
                return self.token_trouble.pop(0)
            self.tokens += 1
            return Reply(200, {"access_token": f"at-{self.tokens}", "expires_in": 3600, "token_type": "Bearer"})
        assert posted.headers["authorization"] == f"Bearer at-{self.tokens}"
        self.messages.append(posted.json["message"])
        return Reply(200, {"name": f"projects/shop-1/messages/{len(self.messages)}"})


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def google() -> Google:
    return Google()


@pytest.fixture
async def server(google: Google) -> AsyncIterator[JsonServer]:
    async with JsonServer(google.take) as made:
        yield made


def account(private_key: str, base_url: str, **changes: str) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": "shop-1",
        "private_key_id": "k1",
        "private_key": private_key,
        "client_email": "push@shop-1.iam.gserviceaccount.com",
        "token_uri": f"{base_url}/token",
    } | changes


@pytest.fixture
async def push(server: JsonServer, private_key: str) -> AsyncIterator[FcmPush]:
    made = FcmPush(account(private_key, server.base_url), base_url=server.base_url, link="shop://notice/", timeout=3.0)
    yield made
    await made.close()


def notice(number: int = 1, **changes: object) -> Outbound:
    given: dict[str, object] = {
        "send_id": f"{number:032x}",
        "channel": "push",
        "address": f"token-{number}",
        "rendered": Rendered(subject=TITLE, body=BODY),
        "locale": "de",
        "not_after": datetime.now(UTC) + timedelta(hours=2),
    }
    return Outbound(**(given | changes))


async def send(push: FcmPush, *batch: Outbound, now: datetime | None = None) -> list[Answer]:
    return await push.send(batch, now=now or datetime.now(UTC))


@pytest.fixture(scope="module")
def referee() -> Draft202012Validator:
    """Is Google's discovery document of FCM, as a schema that refuses what it does not know."""
    found = importlib.util.find_spec("googleapiclient")
    assert found is not None
    assert found.submodule_search_locations
    path = Path(found.submodule_search_locations[0]) / "discovery_cache/documents/fcm.v1.json"
    described = json.loads(path.read_text())["schemas"]

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(one) for one in node]
        if not isinstance(node, dict):
            return node
        made = {key: plain(value) for key, value in node.items() if key not in ("id", "description", "format", "enum")}
        if "enum" in node and all(isinstance(one, str) for one in node["enum"]):
            made["enum"] = node["enum"]
        if "$ref" in node:
            made["$ref"] = f"#/$defs/{node['$ref']}"
        if node.get("type") == "object" and "properties" in node:
            made["additionalProperties"] = False
        if node.get("type") == "any":
            del made["type"]
        return made

    return Draft202012Validator({"$ref": "#/$defs/SendMessageRequest", "$defs": plain(described)})


def complaints(referee: Draft202012Validator, request: object) -> list[str]:
    return [error.message for error in referee.iter_errors(request)]


async def test_a_message_arrives_in_the_form_that_google_describes(
    server: JsonServer, google: Google, push: FcmPush, referee: Draft202012Validator, figure: Figure
) -> None:
    now = datetime.now(UTC)
    answers = await send(push, notice(1), notice(2, not_after=now + timedelta(minutes=10)), now=now)
    assert [a.kind for a in answers] == [AnswerKind.ACCEPTED] * 2
    assert [a.provider_id for a in answers] == [f"{1:032x}", f"{2:032x}"]
    posts = [one for one in server.requests if one.target != "/token"]
    assert {one.target for one in posts} == {"/v1/projects/shop-1/messages:send"}
    assert [complaints(referee, one.json) for one in posts] == [[], []]
    message = next(one for one in google.messages if one["token"] == "token-2")
    assert message["notification"] == {"title": TITLE, "body": BODY}
    assert message["data"] == {"send_id": f"{2:032x}", "link": f"shop://notice/{2:032x}"}
    # One that comes twice replaces itself on the device, and none comes when it makes no sense any more.
    assert message["android"]["collapseKey"] == message["apns"]["headers"]["apns-collapse-id"] == f"{2:032x}"
    assert 598 <= int(message["android"]["ttl"].removesuffix("s")) <= 600
    assert abs(int(message["apns"]["headers"]["apns-expiration"]) - now.timestamp() - 600) < 3
    figure("push, FCM: 2 of 2 messages arrived in the form of Google's discovery document")


@pytest.mark.parametrize(
    "wrong",
    [
        {"message": {"token": "t", "data": {"send_id": 1}}},
        {"message": {"token": "t", "notificaton": {}}},
        {"message": {"token": "t", "android": {"priority": "URGENT"}}},
        {"msg": {}},
    ],
)
def test_the_referee_sees_wrong_messages(referee: Draft202012Validator, wrong: dict[str, Any]) -> None:
    assert complaints(referee, wrong)


def error(status: int, *details: dict[str, Any], **headers: str) -> Reply:
    return Reply(status, {"error": {"code": status, "message": "token-1 is wrong", "details": list(details)}}, headers)


def fcm(code: str) -> dict[str, Any]:
    return {"@type": OF_FCM, "errorCode": code}


def field(*names: str) -> dict[str, Any]:
    return {"@type": OF_REQUEST, "fieldViolations": [{"field": name, "description": "wrong"} for name in names]}


REFUSALS = [
    (error(404, fcm("UNREGISTERED")), "permanent", "http_404 UNREGISTERED", None),
    (error(404), "configuration", "http_404", None),
    # One status and one code for a wrong token and a wrong field: only the type of the details tells.
    (error(400, fcm("INVALID_ARGUMENT")), "permanent", "http_400 INVALID_ARGUMENT", None),
    (error(400, field("message.data[0].value")), "policy_block", "http_400 BadRequest", None),
    (error(400, fcm("INVALID_ARGUMENT"), field("message.android.ttl")), "policy_block", "http_400 BadRequest", None),
    (error(400, fcm("INVALID_ARGUMENT"), field("message.token")), "permanent", "http_400 BadRequest", None),
    (error(400), "policy_block", "http_400", None),
    (error(403, fcm("SENDER_ID_MISMATCH")), "unreached", "http_403 SENDER_ID_MISMATCH", None),
    (error(403), "configuration", "http_403", None),
    (error(401, fcm("THIRD_PARTY_AUTH_ERROR")), "configuration", "http_401 THIRD_PARTY_AUTH_ERROR", None),
    (error(401), "configuration", "http_401", None),
    (error(429, fcm("QUOTA_EXCEEDED"), **{"Retry-After": "9"}), "not_sent", "http_429 QUOTA_EXCEEDED", 9.0),
    (error(503, fcm("UNAVAILABLE"), **{"Retry-After": "4"}), "not_sent", "http_503 UNAVAILABLE", 4.0),
    (Reply(503, "<html>gateway</html>"), "ambiguous", "http_503", None),
    (error(500, fcm("INTERNAL")), "ambiguous", "http_500 INTERNAL", None),
    (Reply(200, {}), "ambiguous", "no message id", None),
    (Reply(302, "", {"Location": "/"}), "configuration", "http_302", None),
    ("garbage_after", "ambiguous", "no message id", None),
    ("reset_before", "ambiguous", "ReadError", None),
    ("reset_after", "ambiguous", "ReadError", None),
]


@pytest.mark.parametrize(("trouble", "kind", "detail", "wait"), REFUSALS)
async def test_every_trouble_is_an_answer_after_one_request(
    server: JsonServer, push: FcmPush, trouble: Reply | str, kind: str, detail: str, wait: float | None
) -> None:
    await send(push, notice(9))
    server.trouble.append(trouble)
    server.requests.clear()
    (answer,) = await send(push, notice(1))
    assert (answer.kind, answer.detail, answer.retry_after) == (kind, detail, wait)
    assert len(server.requests) == 1
    assert "token-1" not in answer.detail


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Reply(200, "[" * 100_000), AnswerKind.AMBIGUOUS),
        (Reply(503, "[" * 100_000), AnswerKind.AMBIGUOUS),
        (Reply(200, ["name"]), AnswerKind.AMBIGUOUS),
        (Reply(400, {"error": {"details": [{"@type": OF_REQUEST, "fieldViolations": None}]}}), AnswerKind.POLICY_BLOCK),
        (Reply(429, "", {"Retry-After": "Mon, 01 Jan 2026 00:00:00 +9999999999999999"}), AnswerKind.NOT_SENT),
    ],
    ids=range(5),
)
async def test_an_answer_that_is_none_of_theirs_cuts_off_no_other(
    server: JsonServer, push: FcmPush, trouble: Reply, kind: AnswerKind
) -> None:
    await send(push, notice())  # a token first
    server.trouble = [trouble]
    answers = await send(push, notice(2), notice(3))
    assert sorted(answer.kind for answer in answers) == sorted([kind, AnswerKind.ACCEPTED])


async def test_one_token_serves_until_it_ends(google: Google, push: FcmPush) -> None:
    await asyncio.gather(*(send(push, notice(n)) for n in range(5)))
    await send(push, notice(6))
    assert google.tokens == 1
    push._tokens._credentials.expiry = datetime(2000, 1, 1)  # noqa: DTZ001 - the library keeps naive instants
    assert [a.kind for a in await send(push, notice(7))] == ["accepted"]
    assert google.tokens == 2


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Reply(400, {"error": "invalid_grant"}), "configuration"),
        (Reply(401, {"error": "unauthorized_client"}), "configuration"),
        (Reply(302, "", {"Location": "/elsewhere"}), "configuration"),
    ],
)
async def test_without_a_token_nothing_is_begun(
    server: JsonServer, google: Google, push: FcmPush, trouble: Reply, kind: str
) -> None:
    google.token_trouble.append(trouble)
    answers = await send(push, notice(1), notice(2))
    assert [(a.kind, a.detail) for a in answers] == [(kind, "token_refused")] * 2
    assert {one.target for one in server.requests} == {"/token"}


async def test_a_token_server_that_is_not_there_is_asked_again_later(server: JsonServer, private_key: str) -> None:
    push = FcmPush(account(private_key, "http://127.0.0.1:9"), base_url=server.base_url, timeout=3.0)
    (answer,) = await send(push, notice())
    await push.close()
    assert (answer.kind, answer.detail) == ("not_sent", "token TransportError")
    assert server.requests == []


async def test_what_is_too_long_for_a_device_never_leaves(server: JsonServer, push: FcmPush) -> None:
    await send(push, notice(9))
    server.requests.clear()
    (answer,) = await send(push, notice(rendered=Rendered(subject="x", body="ü" * 2_050)))
    assert (answer.kind, answer.detail) == ("policy_block", "too_large")
    assert server.requests == []


def test_what_the_linter_lets_through_is_never_too_long_for_a_device() -> None:
    longest = Rendered(subject="𝕏" * LONGEST_TITLE, body="𝕏" * LONGEST_BODY)
    assert too_long(longest) is None
    data = {"title": longest.subject, "body": longest.body, "send_id": "a" * 32, "link": "s://" + "l" * 500}
    assert size(data) <= MOST_BYTES
    assert too_long(longest.model_copy(update={"body": longest.body + "x"}))
    assert too_long(longest.model_copy(update={"subject": longest.subject + "x"}))


async def test_what_is_too_late_asks_nobody(server: JsonServer, push: FcmPush) -> None:
    await send(push, notice(9))
    server.requests.clear()
    (answer,) = await send(push, notice(not_after=datetime.now(UTC)))
    assert (answer.kind, answer.detail) == ("not_sent", "too_late")
    assert server.requests == []


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_a_listed_code_means_what_the_list_says(code: str) -> None:
    assert classify(418, [fcm(code)]) == (ERRORS[code], f"http_418 {code}")


@pytest.mark.parametrize("wrong", [{"project_id": ""}, {"private_key": "none"}, {"client_email": None}])
def test_a_key_that_cannot_work_is_refused_at_once(private_key: str, wrong: dict[str, Any]) -> None:
    given = {k: v for k, v in (account(private_key, "https://x.example") | wrong).items() if v is not None}
    with pytest.raises(SettingsError):
        FcmPush(given)
