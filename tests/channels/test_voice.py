"""Calls through Twilio: a voice reads the message, keys repeat it, reach a human or opt out; no call twice."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from tellfirst.channels.voice import MAX_TWIML, RING, TwilioVoice
from tellfirst.domain.message import Answer, AnswerKind, Outbound, Rendered
from tellfirst.errors import SettingsError
from tests.channels.conftest import account, callback, keys, spoken
from tests.provider import Provider


def now() -> datetime:
    return datetime.now(UTC)


async def send_one(voice: TwilioVoice, message: Outbound | None = None) -> Answer:
    (answer,) = await voice.send([message or spoken()], now=now())
    return answer


def heard(markup: str) -> list[tuple[str, str]]:
    """Returns what is said, in order, with the language it is read in."""
    return [(say.attrib["language"], say.text or "") for say in ElementTree.fromstring(markup).iter("Say")]


async def test_the_call_says_the_message_and_the_keys(provider: Provider, voice: TwilioVoice) -> None:
    answer = await send_one(voice, spoken(rendered=Rendered(body="Train <5> & 6 is late.\n\nSorry.")))
    (record,) = provider.accepted()
    assert (answer.kind, answer.provider_id, answer.detail) == (AnswerKind.ACCEPTED, record["sid"], "queued")
    assert [text for _, text in heard(record["body"])] == [
        "Train <5> & 6 is late.\n\nSorry.",
        "To hear this again, press 1.",
        "To talk to a person, press 0.",
        "To stop our calls and texts, press 9.",
        "Thank you for listening. Goodbye.",
    ]
    gather = ElementTree.fromstring(record["body"]).find("Gather")
    assert gather is not None
    assert gather.attrib == {
        "action": "https://tell.example/twilio/voice?d=s-1",
        "method": "POST",
        "input": "dtmf",
        "numDigits": "1",
        "timeout": "8",
    }


async def test_the_form_names_who_calls_whom_and_where_the_end_is_told(provider: Provider, voice: TwilioVoice) -> None:
    await send_one(voice)
    (record,) = provider.accepted()
    assert record["form"].pop("Twiml")
    assert record["form"] == {
        "To": "+15550100001",
        "From": "+15550109999",
        "Timeout": str(RING),
        "StatusCallback": "https://tell.example/twilio/status?d=s-1",
        "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        "StatusCallbackMethod": "POST",
    }


async def test_a_call_speaks_the_language_of_its_message(provider: Provider, voice: TwilioVoice) -> None:
    await send_one(voice, spoken(locale="de_AT"))
    assert {language for language, _ in heard(provider.accepted()[0]["body"])} == {"de-DE"}


async def test_a_language_without_words_for_its_keys_stops_the_channel(provider: Provider, voice: TwilioVoice) -> None:
    answer = await send_one(voice, spoken(locale="fr"))
    assert (answer.kind, answer.detail) == (AnswerKind.CONFIGURATION, "no sentences for the keys in fr")
    assert provider.stats()["requests"] == 0


async def test_a_call_that_is_too_long_is_not_made(provider: Provider, voice: TwilioVoice) -> None:
    answer = await send_one(voice, spoken(rendered=Rendered(body="&" * (MAX_TWIML // 5))))
    assert (answer.kind, answer.detail) == (AnswerKind.POLICY_BLOCK, "too long for a call")
    assert provider.stats()["requests"] == 0


async def test_nobody_is_rung_up_when_the_time_is_over_before_they_answer(
    provider: Provider, voice: TwilioVoice
) -> None:
    answer = await send_one(voice, spoken(not_after=now() + timedelta(seconds=RING)))
    assert (answer.kind, answer.detail) == (AnswerKind.NOT_SENT, "too_late")
    assert provider.stats()["requests"] == 0


REFUSALS = [
    pytest.param({"mode": "rate_limit", "retry_after": 7}, AnswerKind.NOT_SENT, "20429", id="rate limit"),
    pytest.param({"mode": "refuse", "code": 21211}, AnswerKind.PERMANENT, "21211", id="no number"),
    pytest.param({"mode": "refuse", "code": 21210}, AnswerKind.CONFIGURATION, "21210", id="sender not ours"),
    pytest.param({"mode": "refuse", "code": 21215}, AnswerKind.CONFIGURATION, "21215", id="country not allowed"),
    pytest.param({"mode": "refuse", "code": 21999}, AnswerKind.UNREACHED, "unknown code 21999", id="unknown"),
    pytest.param({"mode": "error_before"}, AnswerKind.AMBIGUOUS, "http_500", id="500"),
    pytest.param({"mode": "reset_before"}, AnswerKind.AMBIGUOUS, "ReadError", id="reset"),
    pytest.param({"mode": "truncated"}, AnswerKind.AMBIGUOUS, "ReadError", id="truncated"),
    pytest.param({"mode": "empty"}, AnswerKind.AMBIGUOUS, "no call id", id="no id"),
    pytest.param({"mode": "born_dead", "status": "busy"}, AnswerKind.UNREACHED, "busy", id="busy"),
    pytest.param({"mode": "born_dead", "status": "no-answer"}, AnswerKind.UNREACHED, "no-answer", id="no answer"),
    pytest.param({"mode": "born_dead", "status": "failed"}, AnswerKind.UNREACHED, "failed", id="failed"),
]


@pytest.mark.parametrize(("fault", "kind", "detail"), REFUSALS)
async def test_every_trouble_is_an_answer_after_exactly_one_request(
    provider: Provider, voice: TwilioVoice, fault: dict[str, object], kind: AnswerKind, detail: str
) -> None:
    provider.fault(str(fault["mode"]), **{name: value for name, value in fault.items() if name != "mode"})
    answer = await send_one(voice)
    assert (answer.kind, answer.detail) == (kind, detail)
    assert provider.stats()["requests"] == 1


async def test_after_a_reset_the_call_is_found_and_not_made_twice(provider: Provider, voice: TwilioVoice) -> None:
    since = now()
    provider.fault("reset_after", times=1)
    assert (await send_one(voice)).kind is AnswerKind.AMBIGUOUS
    found = await voice.look_up(spoken(), since)
    assert found is not None
    assert [found.provider_id] == [record["sid"] for record in provider.accepted()]
    assert await voice.status(found.provider_id) == ("queued", "")


async def test_after_a_reset_a_call_never_accepted_is_not_found(provider: Provider, voice: TwilioVoice) -> None:
    since = now()
    provider.fault("reset_before", times=1)
    assert (await send_one(voice)).kind is AnswerKind.AMBIGUOUS
    assert await voice.look_up(spoken(), since) is None
    assert await voice.look_up(spoken(to="+15550100002"), since) is None


async def test_two_calls_to_one_number_are_not_told_apart(voice: TwilioVoice) -> None:
    since = now()
    await send_one(voice, spoken("s-1"))
    await send_one(voice, spoken("s-2", rendered=Rendered(body="Another message.")))
    assert await voice.look_up(spoken("s-1"), since) is None


async def test_an_earlier_call_and_one_from_another_number_are_not_this_one(
    provider: Provider, voice: TwilioVoice
) -> None:
    await send_one(voice)
    assert await voice.look_up(spoken(), now() + timedelta(seconds=130)) is None
    other = TwilioVoice(account(provider), "+15550108888", action=keys, status_callback=callback)
    assert await other.look_up(spoken(), now()) is None
    await other.close()


async def test_what_cannot_be_asked_says_nothing(provider: Provider) -> None:
    deaf = TwilioVoice(account(provider, token="wrong"), "+15550109999", action=keys, status_callback=callback)
    assert await deaf.look_up(spoken(), now()) is None
    assert await deaf.status("CA" + "0" * 32) is None
    await deaf.close()


@pytest.mark.parametrize("sender", ["", "MG" + "0" * 32])
def test_a_number_of_ours_is_needed(provider: Provider, sender: str) -> None:
    with pytest.raises(SettingsError):
        TwilioVoice(account(provider), sender, action=keys, status_callback=callback)
