"""Resend: the send id is the key, so that whatever happened to an answer, no second mail leaves."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tellfirst.channels.mail import Letterhead
from tellfirst.channels.resend import ERRORS, ResendMail, classify
from tellfirst.domain.message import Answer, AnswerKind, Outbound
from tellfirst.errors import SettingsError
from tests.channels.test_mail import message
from tests.figures import Figure
from tests.json_server import JsonServer, Posted, Reply


class Mails:
    """Keeps mails by their key, as Resend describes its keys: the same body is answered alike, another is refused."""

    def __init__(self) -> None:
        self.by_key: dict[str, tuple[str, str]] = {}
        self.sent: list[dict[str, Any]] = []

    def take(self, posted: Posted) -> Reply:
        if posted.method == "GET":
            return Reply(200, {"id": posted.target.rpartition("/")[2], "last_event": "delivered"})
        key = posted.headers["idempotency-key"]
        if key not in self.by_key:
            self.sent.append(posted.json)
            self.by_key[key] = (posted.text, f"49a3999c-{len(self.sent):04}")
        text, id_ = self.by_key[key]
        if text != posted.text:
            return problem(409, "invalid_idempotent_request")
        return Reply(200, {"id": id_})


def problem(status: int, name: str, words: str = "", **headers: str) -> Reply:
    return Reply(status, {"statusCode": status, "name": name, "message": words}, headers)


@pytest.fixture
def mails() -> Mails:
    return Mails()


@pytest.fixture
async def server(mails: Mails) -> AsyncIterator[JsonServer]:
    async with JsonServer(mails.take) as made:
        yield made


def adapter(server: JsonServer, **changes: Any) -> ResendMail:
    head = Letterhead(sender="Shop <help@shop.example.com>", reply_to="desk@shop.example.com")
    return ResendMail("re_k3y", head, base_url=server.base_url, **({"timeout": 2.0} | changes))


@pytest.fixture
async def resend(server: JsonServer) -> AsyncIterator[ResendMail]:
    made = adapter(server)
    yield made
    await made.close()


def late_parcel(number: int = 1) -> Outbound:
    soon = datetime.now(UTC) + timedelta(hours=1)
    return message(send_id=f"{number:032x}", address=f"c{number}@example.com", not_after=soon)


async def send(resend: ResendMail, *batch: Outbound) -> list[Answer]:
    return await resend.send(batch, now=datetime.now(UTC))


async def test_a_mail_arrives_whole_under_its_key(server: JsonServer, mails: Mails, resend: ResendMail) -> None:
    answers = await send(resend, late_parcel(1), late_parcel(2))
    assert [a.kind for a in answers] == [AnswerKind.ACCEPTED] * 2
    assert {a.provider_id for a in answers} == {"49a3999c-0001", "49a3999c-0002"}
    first = next(one for one in server.requests if one.headers["idempotency-key"] == f"{1:032x}")
    assert (first.method, first.target) == ("POST", "/emails")
    assert first.headers["authorization"] == "Bearer re_k3y"
    mail = first.json
    assert (mail["from"], mail["to"]) == ("Shop <help@shop.example.com>", ["c1@example.com"])
    assert mail["reply_to"] == "desk@shop.example.com"
    assert mail["subject"] == "Your order is late"
    assert mail["text"].startswith("Ana, your parcel is late.")
    assert "Ana, your parcel is late." in mail["html"]
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["tags"] == [{"name": "send_id", "value": f"{1:032x}"}]


@pytest.mark.parametrize("trouble", ["reset_after", "error_after", "garbage_after", "silence_after"])
async def test_after_an_acceptance_nobody_heard_of_the_key_gives_no_second_mail(
    server: JsonServer, mails: Mails, trouble: str, figure: Figure
) -> None:
    resend, one = adapter(server, timeout=0.5), late_parcel()
    server.trouble.append(trouble)
    (doubt,) = await send(resend, one)
    (sure,) = await send(resend, one)
    await resend.close()
    assert (doubt.kind, sure.kind) == (AnswerKind.AMBIGUOUS, AnswerKind.ACCEPTED)
    assert sure.provider_id == "49a3999c-0001"
    assert len(mails.sent) == 1
    assert len({posted.text for posted in server.requests}) == 1
    figure(f"e-mail, Resend: {trouble.replace('_', ' ')} 2 requests with one key, {len(mails.sent)} mail")


async def test_a_key_that_was_used_for_other_words_leaves_doubt(mails: Mails, resend: ResendMail) -> None:
    one = late_parcel()
    await send(resend, one)
    other = one.model_copy(update={"rendered": one.rendered.model_copy(update={"body": "Other words."})})
    (answer,) = await send(resend, other)
    assert (answer.kind, answer.detail) == (AnswerKind.AMBIGUOUS, "409 invalid_idempotent_request")
    assert len(mails.sent) == 1


TO = "Invalid `to` field. The email address needs to follow the `email@example.com` format."
REFUSALS = [
    (problem(422, "validation_error", TO), "permanent", "422 validation_error", None),
    (problem(422, "validation_error", "The `html` field is too long."), "policy_block", "422 validation_error", None),
    (problem(422, "invalid_from_address"), "configuration", "422 invalid_from_address", None),
    (problem(403, "validation_error", "The domain is not verified."), "configuration", "403 validation_error", None),
    (problem(401, "missing_api_key"), "configuration", "401 missing_api_key", None),
    (problem(429, "rate_limit_exceeded", **{"Retry-After": "3"}), "not_sent", "429 rate_limit_exceeded", 3.0),
    (problem(429, "daily_quota_exceeded"), "configuration", "429 daily_quota_exceeded", None),
    (problem(409, "concurrent_idempotent_requests"), "ambiguous", "409 concurrent_idempotent_requests", None),
    (problem(409, "something_new"), "ambiguous", "409 something_new", None),
    (problem(451, "security_error"), "policy_block", "451 security_error", None),
    (problem(500, "application_error"), "ambiguous", "500 application_error", None),
    (Reply(413, "<html>"), "policy_block", "413", None),
    (Reply(307, "", {"Location": "https://elsewhere.example/"}), "configuration", "307", None),
    (Reply(200, {"id": 7}), "ambiguous", "no message id", None),
    ("reset_before", "ambiguous", "ReadError", None),
]


@pytest.mark.parametrize(("trouble", "kind", "detail", "wait"), REFUSALS)
async def test_every_trouble_is_an_answer_after_one_request(
    server: JsonServer, resend: ResendMail, trouble: Reply | str, kind: str, detail: str, wait: float | None
) -> None:
    server.trouble.append(trouble)
    (answer,) = await send(resend, late_parcel())
    assert (answer.kind, answer.detail, answer.retry_after) == (kind, detail, wait)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_an_answer_that_nobody_can_read_cuts_off_no_other(
    server: JsonServer, resend: ResendMail, status: int
) -> None:
    server.trouble = [Reply(status, "[" * 100_000)]
    answers = await send(resend, late_parcel(1), late_parcel(2))
    kind = AnswerKind.POLICY_BLOCK if status == 400 else AnswerKind.AMBIGUOUS
    assert sorted(answer.kind for answer in answers) == sorted([kind, AnswerKind.ACCEPTED])


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_a_listed_name_means_what_the_list_says_unless_the_server_failed(name: str) -> None:
    assert classify(400, name, of_recipient=True) == (ERRORS[name], f"400 {name}")
    assert classify(503, name, of_recipient=True)[0] is AnswerKind.AMBIGUOUS


async def test_it_tells_the_last_event_of_a_mail(server: JsonServer, resend: ResendMail) -> None:
    assert await resend.status("49a3999c-0001") == ("email.delivered", "")
    assert await resend.status("../domains") is None
    server.trouble += [Reply(404, {}), Reply(200, {"last_event": "a b"}), "reset_before", "reset_before"]
    assert [await resend.status("49a3999c-0001") for _ in range(3)] == [None, None, None]


async def test_what_cannot_leave_asks_nobody(server: JsonServer, resend: ResendMail) -> None:
    late = late_parcel().model_copy(update={"not_after": datetime.now(UTC)})
    answers = await send(resend, late, late_parcel().model_copy(update={"address": "nobody"}))
    assert [(a.kind, a.detail) for a in answers] == [("not_sent", "too_late"), ("permanent", "no_address")]
    assert server.requests == []


def test_it_stops_asking_before_the_provider_forgets_a_key() -> None:
    resend = ResendMail("k", Letterhead(sender="help@shop.example.com"))
    assert resend.idempotency == "key"
    assert timedelta(0) < resend.key_window < timedelta(hours=24)


async def test_no_answer_holds_an_address(server: JsonServer, resend: ResendMail) -> None:
    server.trouble.append(problem(422, "ana@example.com", "ana@example.com in `to`"))
    (answer,) = await send(resend, late_parcel())
    assert "@" not in json.dumps(answer.model_dump(mode="json"))


@pytest.mark.parametrize("given", [{"api_key": ""}, {"base_url": "api.resend.com"}])
def test_settings_that_cannot_work_are_refused_at_once(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        ResendMail(**({"api_key": "k", "letterhead": Letterhead(sender="h@shop.example.com")} | given))  # type: ignore[arg-type]
