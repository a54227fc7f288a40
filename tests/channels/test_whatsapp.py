"""WhatsApp through Twilio: registered words with our values in their places, and nothing else."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tellfirst.channels.whatsapp import TwilioWhatsApp
from tellfirst.channels.whatsapp_templates import read_templates
from tellfirst.domain.message import Answer, AnswerKind, Outbound, Rendered
from tellfirst.errors import SettingsError
from tests.channels.conftest import CONTENT, account, callback, outbound, templated
from tests.provider import Provider


def now() -> datetime:
    return datetime.now(UTC)


async def send_one(whatsapp: TwilioWhatsApp, message: Outbound | None = None) -> Answer:
    (answer,) = await whatsapp.send([message or templated()], now=now())
    return answer


async def test_what_is_read_is_what_was_approved(provider: Provider, whatsapp: TwilioWhatsApp) -> None:
    answer = await send_one(whatsapp)
    (record,) = provider.accepted()
    assert (answer.kind, answer.provider_id) == (AnswerKind.ACCEPTED, record["sid"])
    assert record["body"] == templated().rendered.body
    assert int(record["form"].pop("ValidityPeriod")) <= 7200
    assert json.loads(record["form"].pop("ContentVariables")) == {"1": "A-17 & co.", "2": "9"}
    assert record["form"] == {
        "To": "whatsapp:+15550100001",
        "From": "whatsapp:+15550109999",
        "ContentSid": CONTENT,
        "StatusCallback": "https://tell.example/twilio/status?d=s-1",
    }


async def test_words_without_places_have_no_values(provider: Provider, whatsapp: TwilioWhatsApp) -> None:
    provider.content(CONTENT, "All is well.")
    message = outbound(channel="whatsapp", rendered=Rendered(body="All is well.", template="late"))
    assert (await send_one(whatsapp, message)).kind is AnswerKind.ACCEPTED
    (record,) = provider.accepted()
    assert "ContentVariables" not in record["form"]
    assert record["body"] == "All is well."


async def test_a_messaging_service_is_a_sender_too(provider: Provider) -> None:
    one = TwilioWhatsApp(account(provider), provider.service_sid, {"late": CONTENT})
    await send_one(one)
    assert await one.look_up(templated(), now()) is None  # the words are not registered with this stand-in
    await one.close()
    assert provider.accepted()[0]["form"]["MessagingServiceSid"] == provider.service_sid


async def test_nothing_of_a_batch_leaves_while_a_template_is_not_known(
    provider: Provider, whatsapp: TwilioWhatsApp
) -> None:
    unknown = Rendered(body="Words.", template="resolved")
    answers = await whatsapp.send([templated("s-1"), outbound("s-2", rendered=unknown)], now=now())
    assert {(answer.kind, answer.detail) for answer in answers} == {
        (AnswerKind.CONFIGURATION, "no ContentSid for template resolved")
    }
    assert provider.stats()["requests"] == 0


async def test_a_free_text_never_leaves(provider: Provider, whatsapp: TwilioWhatsApp) -> None:
    answer = await send_one(whatsapp, outbound(rendered=Rendered(body="A free text.")))
    assert (answer.kind, answer.detail) == (AnswerKind.POLICY_BLOCK, "a text without a template")
    assert provider.stats()["requests"] == 0


REFUSALS = [
    pytest.param({"mode": "rate_limit", "retry_after": 7}, AnswerKind.NOT_SENT, "20429", id="rate limit"),
    pytest.param({"mode": "refuse", "code": 63018}, AnswerKind.NOT_SENT, "63018", id="WhatsApp's rate limit"),
    pytest.param({"mode": "refuse", "code": 63003}, AnswerKind.PERMANENT, "63003", id="not on WhatsApp"),
    pytest.param({"mode": "refuse", "code": 63032}, AnswerKind.UNREACHED, "63032", id="WhatsApp would not"),
    pytest.param({"mode": "refuse", "code": 63016}, AnswerKind.POLICY_BLOCK, "63016", id="outside 24 hours"),
    pytest.param({"mode": "refuse", "code": 21656}, AnswerKind.POLICY_BLOCK, "21656", id="values"),
    pytest.param({"mode": "refuse", "code": 63027}, AnswerKind.CONFIGURATION, "63027", id="template not there"),
    pytest.param({"mode": "refuse", "code": 63099}, AnswerKind.UNREACHED, "unknown code 63099", id="unknown"),
    pytest.param({"mode": "refuse", "code": 21610}, AnswerKind.OPTED_OUT, "21610", id="opted out"),
    pytest.param({"mode": "error_after"}, AnswerKind.AMBIGUOUS, "20503", id="503"),
    pytest.param({"mode": "reset_before"}, AnswerKind.AMBIGUOUS, "ReadError", id="reset"),
    pytest.param({"mode": "born_dead", "code": 63016}, AnswerKind.POLICY_BLOCK, "63016", id="201, but outside"),
]


@pytest.mark.parametrize(("fault", "kind", "detail"), REFUSALS)
async def test_every_trouble_is_an_answer_after_exactly_one_request(
    provider: Provider, whatsapp: TwilioWhatsApp, fault: dict[str, object], kind: AnswerKind, detail: str
) -> None:
    provider.fault(str(fault["mode"]), **{name: value for name, value in fault.items() if name != "mode"})
    answer = await send_one(whatsapp)
    assert (answer.kind, answer.detail) == (kind, detail)
    assert provider.stats()["requests"] == 1


async def test_after_a_reset_it_is_found_by_what_is_read_and_not_made_twice(
    provider: Provider, whatsapp: TwilioWhatsApp
) -> None:
    since, message = now(), templated()
    provider.fault("reset_after", times=1)
    assert (await send_one(whatsapp, message)).kind is AnswerKind.AMBIGUOUS
    other = message.rendered.model_copy(update={"variables": ("B-4", "9"), "body": "Your parcel B-4 is late."})
    assert await whatsapp.look_up(message.model_copy(update={"rendered": other}), since) is None
    found = await whatsapp.look_up(message, since)
    assert found is not None
    assert [found.provider_id] == [record["sid"] for record in provider.accepted()]
    assert await whatsapp.status(found.provider_id) == ("queued", "")


async def test_two_alike_are_not_told_apart(whatsapp: TwilioWhatsApp) -> None:
    since = now()
    await send_one(whatsapp, templated("s-1"))
    await send_one(whatsapp, templated("s-2"))
    assert await whatsapp.look_up(templated("s-3"), since) is None


async def test_a_message_past_its_time_does_not_leave(provider: Provider, whatsapp: TwilioWhatsApp) -> None:
    message = templated(not_after=now() + timedelta(milliseconds=500))
    assert (await send_one(whatsapp, message)).detail == "too_late"
    assert provider.stats()["requests"] == 0


def test_the_contentsids_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "templates.toml"
    path.write_text(f'late = "{CONTENT}"\n')
    assert read_templates(path) == {"late": CONTENT}
    assert read_templates(None) == {}


@pytest.mark.parametrize("text", ["late = 1", 'late = "HX1"', "late", '[templates]\nlate = "HX1"'])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "templates.toml"
    path.write_text(text)
    with pytest.raises(SettingsError):
        read_templates(path)
    with pytest.raises(SettingsError):
        read_templates(tmp_path / "none.toml")


def test_a_sender_is_needed(provider: Provider) -> None:
    with pytest.raises(SettingsError):
        TwilioWhatsApp(account(provider), "", {}, status_callback=callback)
