"""SendGrid: as few requests as the words allow, each in the form its own SDK writes, and doubt about no one else."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sendgrid.helpers.mail import (  # type: ignore[import-untyped]
    Content,
    CustomArg,
    Header,
    Mail,
    Personalization,
    ReplyTo,
    Substitution,
    To,
)

from tellfirst.channels.mail import Letterhead
from tellfirst.channels.sendgrid import LINK, MOST, UNTOUCHED, SendGridMail
from tellfirst.domain.message import Answer, AnswerKind, Outbound, Rendered
from tellfirst.errors import SettingsError
from tests.channels.test_mail import message
from tests.figures import Figure
from tests.json_server import JsonServer, Posted, Reply

OUTAGE = Rendered(subject="Uploads fail", body="Your uploads fail.\n\nYou don't need to do anything.")


def take(posted: Posted) -> Reply:
    return Reply(202, "", {"X-Message-Id": "14c5d75ce93"})


@pytest.fixture
async def server() -> AsyncIterator[JsonServer]:
    async with JsonServer(take) as made:
        yield made


def adapter(server: JsonServer, **changes: Any) -> SendGridMail:
    head = Letterhead(sender="Größe & Co <help@shop.example.com>", reply_to="Desk <desk@shop.example.com>")
    return SendGridMail("SG.k3y", head, base_url=server.base_url, **({"timeout": 2.0} | changes))


@pytest.fixture
async def sendgrid(server: JsonServer) -> AsyncIterator[SendGridMail]:
    made = adapter(server)
    yield made
    await made.close()


def outage(number: int, **changes: object) -> Outbound:
    return message(
        send_id=f"{number:032x}",
        address=f"c{number}@example.com",
        rendered=OUTAGE,
        not_after=datetime.now(UTC) + timedelta(hours=1),
        preferences_url=f"https://tell.example.com/p/{number:06}",
        unsubscribe_url=f"https://tell.example.com/u/{number:06}",
        **changes,
    )


async def send(sendgrid: SendGridMail, *batch: Outbound) -> list[Answer]:
    return await sendgrid.send(batch, now=datetime.now(UTC))


async def test_a_thousand_of_the_same_words_leave_in_one_request(
    server: JsonServer, sendgrid: SendGridMail, figure: Figure
) -> None:
    answers = await send(sendgrid, *(outage(n) for n in range(MOST + 1)))
    assert {a.kind for a in answers} == {AnswerKind.ACCEPTED}
    assert [a.provider_id for a in answers] == [f"{n:032x}" for n in range(MOST + 1)]
    assert sorted(len(one.json["personalizations"]) for one in server.requests) == [1, MOST]
    body = max(server.requests, key=lambda one: len(one.text)).json
    people = body["personalizations"]
    assert [p["to"] for p in people[:2]] == [[{"email": "c0@example.com"}], [{"email": "c1@example.com"}]]
    assert people[7]["custom_args"] == {"send_id": f"{7:032x}"}
    assert people[7]["substitutions"] == {LINK: "https://tell.example.com/p/000007"}
    assert people[7]["headers"]["List-Unsubscribe"] == "<https://tell.example.com/u/000007>"
    assert people[7]["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert people[7]["headers"]["Message-ID"] == f"<{7:032x}@shop.example.com>"
    plain, html = (part["value"] for part in body["content"])
    # The approved words stand in the mail itself; nothing but the link is filled in by the provider.
    assert plain == f"{OUTAGE.body}\n\n-- \nChoose what we write to you about, and how:\n{LINK}\n"
    assert html.count(LINK) == 2
    assert "Your uploads fail." in html
    assert body["tracking_settings"] == UNTOUCHED
    figure(f"e-mail, SendGrid: {MOST + 1:,} mails of the same words in {len(server.requests)} requests")


async def test_words_that_differ_are_never_mixed(server: JsonServer, sendgrid: SendGridMail) -> None:
    ana = outage(1).model_copy(update={"rendered": OUTAGE.model_copy(update={"body": "Ana, your uploads fail."})})
    german = outage(2, locale="de")
    await send(sendgrid, ana, german, outage(3), outage(4))
    sent = {one.json["content"][0]["value"].splitlines()[0]: one.json for one in server.requests}
    assert len(server.requests) == 3
    assert [len(sent["Ana, your uploads fail."]["personalizations"])] == [1]
    assert sorted(len(one.json["personalizations"]) for one in server.requests) == [1, 1, 2]


async def test_a_link_that_reads_otherwise_in_html_leaves_alone(server: JsonServer, sendgrid: SendGridMail) -> None:
    odd = outage(1).model_copy(update={"preferences_url": "https://tell.example.com/p?a=1&b=2"})
    await send(sendgrid, odd, outage(2), outage(3).model_copy(update={"preferences_url": ""}))
    assert len(server.requests) == 3
    alone = next(one.json for one in server.requests if "a=1" in one.text)
    assert "substitutions" not in alone["personalizations"][0]
    assert "a=1&amp;b=2" in alone["content"][1]["value"]


async def test_the_request_is_the_one_that_the_official_sdk_writes(server: JsonServer, sendgrid: SendGridMail) -> None:
    one = outage(1)
    await send(sendgrid, one)
    ours = server.requests[0]
    written = Letterhead(sender="help@shop.example.com").write(one.model_copy(update={"preferences_url": LINK}))
    assert written is not None
    mail = Mail(from_email=("help@shop.example.com", "Größe & Co"), subject=OUTAGE.subject)
    mail.reply_to = ReplyTo("desk@shop.example.com", "Desk")
    mail.content = [Content("text/plain", written.text), Content("text/html", written.html)]
    person = Personalization()
    person.add_to(To("c1@example.com"))
    for name, value in {**written.headers, "Message-ID": f"<{written.message_id}>"}.items():
        person.add_header(Header(name, value))
    person.add_substitution(Substitution(LINK, one.preferences_url))
    person.add_custom_arg(CustomArg("send_id", one.send_id))
    mail.add_personalization(person)
    theirs = mail.get() | {"tracking_settings": UNTOUCHED}
    assert ours.json == theirs
    assert (ours.method, ours.target) == ("POST", "/v3/mail/send")
    assert ours.headers["authorization"] == "Bearer SG.k3y"


def wrong(field: str) -> dict[str, Any]:
    return {"errors": [{"message": "c1@example.com does not contain a valid address.", "field": field, "help": None}]}


REFUSALS = [
    (Reply(400, wrong("subject")), "policy_block", "http_400 subject", None),
    (Reply(400, wrong("from.email")), "configuration", "http_400 from.email", None),
    (Reply(400, "no json"), "policy_block", "http_400", None),
    (Reply(401, wrong("")), "configuration", "http_401", None),
    (Reply(403, wrong("from")), "configuration", "http_403 from", None),
    (Reply(413, wrong("")), "policy_block", "http_413", None),
    (Reply(429, {}, {"Retry-After": "7"}), "not_sent", "http_429", 7.0),
    (Reply(429, {}), "not_sent", "http_429", None),
    (Reply(307, "", {"Location": "https://elsewhere.example/"}), "configuration", "http_307", None),
    (Reply(200, {}), "ambiguous", "http_200", None),
    (Reply(202, ""), "ambiguous", "http_202", None),
    (Reply(408, {}), "ambiguous", "http_408", None),
    (Reply(500, {}), "ambiguous", "http_500", None),
    ("error_after", "ambiguous", "http_503", None),
    ("garbage_after", "ambiguous", "http_200", None),
    ("reset_before", "ambiguous", "ReadError", None),
    ("reset_after", "ambiguous", "ReadError", None),
]


@pytest.mark.parametrize(("trouble", "kind", "detail", "wait"), REFUSALS)
async def test_every_trouble_is_an_answer_after_one_request(
    server: JsonServer, sendgrid: SendGridMail, trouble: Reply | str, kind: str, detail: str, wait: float | None
) -> None:
    server.trouble.append(trouble)
    answers = await send(sendgrid, outage(1), outage(2))
    assert [(a.kind, a.detail, a.retry_after) for a in answers] == [(kind, detail, wait)] * 2
    assert len(server.requests) == 1


async def test_a_limit_that_names_its_end_is_waited_for(server: JsonServer, sendgrid: SendGridMail) -> None:
    now = datetime.now(UTC)
    server.trouble.append(Reply(429, {}, {"X-RateLimit-Reset": str(int(now.timestamp()) + 40)}))
    (answer,) = await sendgrid.send([outage(1)], now=now)
    assert answer.retry_after is not None
    assert 39 < answer.retry_after <= 40


async def test_one_bad_address_gives_up_that_one_and_holds_no_other_back(
    server: JsonServer, sendgrid: SendGridMail
) -> None:
    server.trouble.append(Reply(400, wrong("personalizations.1.to.0.email")))
    answers = await send(sendgrid, *(outage(n) for n in range(3)))
    assert [a.kind for a in answers] == ["not_sent", "permanent", "not_sent"]
    assert "@" not in "".join(a.detail for a in answers)


async def test_an_answer_that_nobody_can_read_is_one(server: JsonServer, sendgrid: SendGridMail) -> None:
    server.trouble = [Reply(400, "[" * 100_000)]
    (answer,) = await sendgrid.send([outage(1)], now=datetime.now(UTC))
    assert answer.kind is AnswerKind.POLICY_BLOCK


async def test_silence_is_doubt_and_no_server_is_none(server: JsonServer) -> None:
    hasty = adapter(server, timeout=0.3)
    server.trouble.append("silence_after")
    assert [a.kind for a in await send(hasty, outage(1))] == ["ambiguous"]
    await hasty.close()
    nobody = SendGridMail("k", Letterhead(sender="h@shop.example.com"), base_url="http://127.0.0.1:9", timeout=0.5)
    assert [a.kind for a in await send(nobody, outage(1))] == ["not_sent"]
    await nobody.close()


async def test_what_cannot_leave_asks_nobody(server: JsonServer, sendgrid: SendGridMail) -> None:
    late = outage(1).model_copy(update={"not_after": datetime.now(UTC)})
    answers = await send(sendgrid, late, outage(2).model_copy(update={"address": "nobody"}))
    assert [(a.kind, a.detail) for a in answers] == [("not_sent", "too_late"), ("permanent", "no_address")]
    assert server.requests == []


async def test_it_cannot_be_asked(sendgrid: SendGridMail) -> None:
    assert sendgrid.idempotency == "none"
    assert await sendgrid.look_up(outage(1), datetime.now(UTC)) is None
    assert await sendgrid.status("x") is None


@pytest.mark.parametrize("given", [{"api_key": ""}, {"base_url": "api.sendgrid.com"}])
def test_settings_that_cannot_work_are_refused_at_once(given: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        SendGridMail(**({"api_key": "k", "letterhead": Letterhead(sender="h@shop.example.com")} | given))  # type: ignore[arg-type]
