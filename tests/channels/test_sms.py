import asyncio
import logging
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.channels.sms import TwilioSms
from tellfirst.channels.twilio_account import TwilioAccount
from tellfirst.channels.twilio_errors import ERRORS, classify
from tellfirst.domain.message import Answer, AnswerKind, Outbound, Rendered
from tellfirst.errors import SettingsError
from tests.channels.conftest import Make, outbound
from tests.provider import Provider


def now() -> datetime:
    return datetime.now(UTC)


async def send_one(sms: TwilioSms, message: Outbound | None = None) -> Answer:
    (answer,) = await sms.send([message or outbound()], now=now())
    return answer


async def test_an_accepted_message_has_the_providers_id_and_reached_it_once(provider: Provider, sms: TwilioSms) -> None:
    answer = await send_one(sms)
    (record,) = provider.accepted()
    assert (answer.kind, answer.provider_id, answer.detail) == (AnswerKind.ACCEPTED, record["sid"], "accepted")
    assert record["to"] == "+15550100001"
    assert record["body"] == outbound().rendered.body


async def test_a_batch_is_answered_in_its_order_and_at_once(provider: Provider, sms: TwilioSms) -> None:
    provider.fault("hold")
    batch = [outbound(f"s-{n}", f"+1555010{n:04}") for n in range(8)]
    sending = asyncio.create_task(sms.send(batch, now=now()))
    await asyncio.to_thread(provider.wait, held=8)
    provider.release()
    answers = await sending
    sids = {record["to"]: record["sid"] for record in provider.accepted()}
    assert [answer.send_id for answer in answers] == [message.send_id for message in batch]
    assert [answer.provider_id for answer in answers] == [sids[message.address] for message in batch]
    assert provider.stats()["max_in_flight"] == 8


async def test_no_more_connections_than_in_flight(provider: Provider, make: Make) -> None:
    provider.fault("slow", ms=30)
    answers = await make(in_flight=3).send([outbound(f"s-{n}") for n in range(12)], now=now())
    assert {answer.kind for answer in answers} == {AnswerKind.ACCEPTED}
    assert provider.stats()["max_in_flight"] == 3


REFUSALS = [
    pytest.param({"mode": "rate_limit", "retry_after": 7}, AnswerKind.NOT_SENT, "20429", 7.0, id="rate limit"),
    pytest.param({"mode": "rate_limit"}, AnswerKind.NOT_SENT, "20429", None, id="rate limit without a hint"),
    pytest.param({"mode": "refuse", "code": 21610}, AnswerKind.OPTED_OUT, "21610", None, id="opted out"),
    pytest.param({"mode": "refuse", "code": 21614}, AnswerKind.PERMANENT, "21614", None, id="not a mobile"),
    pytest.param({"mode": "refuse", "code": 30003}, AnswerKind.UNREACHED, "30003", None, id="switched off"),
    pytest.param({"mode": "refuse", "code": 21611}, AnswerKind.NOT_SENT, "21611", None, id="queue full"),
    pytest.param({"mode": "refuse", "code": 30610}, AnswerKind.QUIET_HOURS, "30610", None, id="provider's quiet hours"),
    pytest.param({"mode": "refuse", "code": 30007}, AnswerKind.POLICY_BLOCK, "30007", None, id="filtered"),
    pytest.param({"mode": "refuse", "code": 21606}, AnswerKind.CONFIGURATION, "21606", None, id="sender not ours"),
    pytest.param({"mode": "refuse", "code": 99999}, AnswerKind.UNREACHED, "unknown code 99999", None, id="unknown"),
    pytest.param(
        {"mode": "refuse", "code": 99999, "http_status": 403}, AnswerKind.CONFIGURATION, "99999", None, id="forbidden"
    ),
    pytest.param(
        {"mode": "refuse", "code": "+15550100001"}, AnswerKind.UNREACHED, "unknown code http_400", None, id="no number"
    ),
    pytest.param(
        {"mode": "refuse", "code": 0, "http_status": 307}, AnswerKind.CONFIGURATION, "http_307", None, id="307"
    ),
    pytest.param({"mode": "refuse", "code": 0, "http_status": 408}, AnswerKind.AMBIGUOUS, "http_408", None, id="408"),
    pytest.param({"mode": "error_before"}, AnswerKind.AMBIGUOUS, "http_500", None, id="500"),
    pytest.param({"mode": "error_after", "retry_after": 7}, AnswerKind.AMBIGUOUS, "20503", None, id="503"),
    pytest.param(
        {"mode": "error_before", "code": 21610}, AnswerKind.AMBIGUOUS, "21610", None, id="a failing server's code"
    ),
    pytest.param({"mode": "reset_before"}, AnswerKind.AMBIGUOUS, "ReadError", None, id="reset, not accepted"),
    pytest.param({"mode": "reset_after"}, AnswerKind.AMBIGUOUS, "ReadError", None, id="reset, accepted"),
    pytest.param({"mode": "truncated"}, AnswerKind.AMBIGUOUS, "ReadError", None, id="truncated"),
    pytest.param({"mode": "garbage"}, AnswerKind.AMBIGUOUS, "JSONDecodeError", None, id="no JSON"),
    pytest.param({"mode": "empty"}, AnswerKind.AMBIGUOUS, "no message id", None, id="no id"),
    pytest.param({"mode": "born_dead", "code": 30036}, AnswerKind.NOT_SENT, "30036", None, id="201 but expired"),
    pytest.param({"mode": "born_dead", "code": 30999}, AnswerKind.UNREACHED, "unknown code 30999", None, id="201, new"),
    pytest.param(
        {"mode": "born_dead", "status": "canceled"}, AnswerKind.UNREACHED, "canceled", None, id="201 canceled"
    ),
    pytest.param(
        {"mode": "born_dead", "status": "queued", "code": 30007}, AnswerKind.POLICY_BLOCK, "30007", None, id="201, code"
    ),
    pytest.param(
        {"mode": "born_dead", "status": "queued", "code": 30001},
        AnswerKind.AMBIGUOUS,
        "30001",
        None,
        id="201, still queued",
    ),
]


@pytest.mark.parametrize(("fault", "kind", "detail", "retry_after"), REFUSALS)
async def test_every_trouble_is_an_answer_after_exactly_one_request(
    provider: Provider,
    sms: TwilioSms,
    fault: dict[str, object],
    kind: AnswerKind,
    detail: str,
    retry_after: float | None,
) -> None:
    provider.fault(str(fault["mode"]), **{name: value for name, value in fault.items() if name != "mode"})
    answer = await send_one(sms)
    assert (answer.kind, answer.detail, answer.retry_after) == (kind, detail, retry_after)
    assert provider.stats()["requests"] == 1


async def test_a_fault_of_one_message_leaves_the_others_alone(provider: Provider, sms: TwilioSms) -> None:
    provider.fault("refuse", code=21610, to_suffix="07")
    provider.fault("reset_after", to_suffix="09")
    answers = await sms.send([outbound(f"s-{n}", f"+155501000{n}") for n in ("06", "07", "08", "09")], now=now())
    kinds = [answer.kind for answer in answers]
    assert kinds == [AnswerKind.ACCEPTED, AnswerKind.OPTED_OUT, AnswerKind.ACCEPTED, AnswerKind.AMBIGUOUS]


async def test_a_slow_provider_is_ambiguous_when_the_whole_deadline_is_over(provider: Provider, make: Make) -> None:
    provider.fault("slow", ms=3_000)
    sms = make(timeout=0.5)
    begun = time.monotonic()
    answer = await send_one(sms)
    assert (answer.kind, answer.detail) == (AnswerKind.AMBIGUOUS, "TimeoutError")
    assert time.monotonic() - begun < 1.5
    assert len(provider.accepted()) == 1


async def test_the_deadline_holds_for_an_answer_that_trickles(make: Make) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)  # each byte comes well inside a timeout that only counts silence
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        begun = time.monotonic()
        answer = await send_one(make(base_url=f"http://127.0.0.1:{port}", timeout=0.5))
    assert answer.kind is AnswerKind.AMBIGUOUS
    assert time.monotonic() - begun < 1.5


async def test_nobody_listening_is_not_sent(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answer = await send_one(make(base_url=f"http://127.0.0.1:{port}"))
    assert (answer.kind, answer.detail) == (AnswerKind.NOT_SENT, "ConnectError")


async def test_a_connection_that_never_opens_is_not_sent(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        filling = []
        for _ in range(3):
            filling.append(socket.socket())
            filling[-1].setblocking(False)
            filling[-1].connect_ex(deaf.getsockname())
        answer = await send_one(make(base_url=f"http://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.9))
        for one in filling:
            one.close()
    assert (answer.kind, answer.detail) == (AnswerKind.NOT_SENT, "ConnectTimeout")


async def test_a_message_that_found_no_free_connection_is_not_sent(provider: Provider, make: Make) -> None:
    provider.fault("hold")
    sms = make(in_flight=1, timeout=1.2)
    first, second = await sms.send([outbound("s-1"), outbound("s-2")], now=now())
    assert (first.kind, second.kind) == (AnswerKind.AMBIGUOUS, AnswerKind.NOT_SENT)
    assert second.detail == "ConnectTimeout"
    assert len(provider.accepted()) == 1


@pytest.mark.parametrize("wrong", [{"token": "wrong"}, {"sid": "AC" + "f" * 32}])
async def test_wrong_credentials_stop_the_channel_and_not_the_recipient(make: Make, wrong: dict[str, str]) -> None:
    answer = await send_one(make(**wrong))
    assert (answer.kind, answer.detail) == (AnswerKind.CONFIGURATION, "20003")


async def test_an_unknown_path_stops_the_channel(provider: Provider, make: Make) -> None:
    answer = await send_one(make(base_url=provider.base_url + "/elsewhere"))
    assert (answer.kind, answer.detail) == (AnswerKind.CONFIGURATION, "20404")


async def test_the_provider_may_keep_a_message_until_not_after_and_no_longer(
    provider: Provider, sms: TwilioSms
) -> None:
    at = now()
    batch = [
        outbound("s-1", "+15550100001", not_after=at + timedelta(minutes=10)),
        outbound("s-2", "+15550100002", not_after=at + timedelta(days=2)),
    ]
    await sms.send(batch, now=at)
    kept = {record["to"]: int(record["form"]["ValidityPeriod"]) for record in provider.accepted()}
    assert 590 <= kept["+15550100001"] <= 600
    assert kept["+15550100002"] == 36_000


async def test_a_message_past_its_time_does_not_leave(provider: Provider, sms: TwilioSms) -> None:
    message = outbound()
    (answer,) = await sms.send([message], now=message.not_after - timedelta(milliseconds=500))
    assert (answer.kind, answer.detail) == (AnswerKind.NOT_SENT, "too_late")
    assert provider.stats()["requests"] == 0


async def test_the_form_holds_the_approved_text_and_the_callback_and_nothing_else(
    provider: Provider, make: Make
) -> None:
    sms = make(status_callback=lambda send_id: f"https://tell.example/receipts/{send_id}")
    await send_one(sms, outbound(rendered=Rendered(body="Déjà vu: 5 € & “more”\n+1")))
    (record,) = provider.accepted()
    assert record["status_callback"] == "https://tell.example/receipts/s-1"
    assert record["form"].pop("ValidityPeriod")
    assert record["form"] == {
        "To": "+15550100001",
        "Body": "Déjà vu: 5 € & “more”\n+1",
        "SmartEncoded": "false",
        "StatusCallback": "https://tell.example/receipts/s-1",
        "MessagingServiceSid": provider.service_sid,
    }


async def test_a_number_of_ours_is_a_sender_too(provider: Provider, make: Make) -> None:
    await send_one(make(sender="+15550109999"))
    (record,) = provider.accepted()
    assert record["form"]["From"] == "+15550109999"
    assert "MessagingServiceSid" not in record["form"]


async def test_a_faulty_callback_maker_is_heard_before_anything_leaves(provider: Provider, make: Make) -> None:
    def callback(send_id: str) -> str:
        if send_id == "s-2":
            raise ValueError("no token")
        return "https://tell.example/r"

    with pytest.raises(ValueError, match="no token"):
        await make(status_callback=callback).send([outbound("s-1"), outbound("s-2")], now=now())
    assert provider.stats()["requests"] == 0


async def test_no_address_reaches_the_log_or_an_answer(
    sms: TwilioSms, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.fault("refuse", code=99999)
    with caplog.at_level(logging.DEBUG, logger=""):
        answer = await send_one(sms)
        await sms.look_up(outbound(), now())
    assert "5550100001" not in caplog.text
    assert "5550100001" not in answer.detail


async def test_the_environment_decides_nothing(make: Make, monkeypatch: pytest.MonkeyPatch, provider: Provider) -> None:
    for name, value in {
        "TWILIO_EDGE": "sydney",
        "TWILIO_REGION": "au1",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "SSL_CERT_FILE": "/nowhere",
        "ALL_PROXY": "http://127.0.0.1:9",
        "TWILIO_AUTH_TOKEN": "wrong",
    }.items():
        monkeypatch.setenv(name, value)
    sms = make()
    assert sms._account.client.region is None
    assert sms._account.client.edge is None
    assert (await send_one(sms)).kind is AnswerKind.ACCEPTED


@pytest.mark.parametrize("wrong", [{"sid": ""}, {"token": ""}, {"sender": ""}, {"base_url": "api.twilio.example"}])
def test_settings_that_cannot_work_are_refused_at_once(wrong: dict[str, str]) -> None:
    given: dict[str, str] = {"sid": "AC1", "token": "t"} | wrong
    sender = given.pop("sender", "MG1")
    with pytest.raises(SettingsError):
        TwilioSms(TwilioAccount(**given), sender)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_a_listed_code_means_what_the_list_says(code: int) -> None:
    assert classify(400, code) == (ERRORS[code], str(code))


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("code", [0, 20429, 21211, 12345])
def test_a_failing_server_is_ambiguous_whatever_code_it_gives(status: int, code: int) -> None:
    assert classify(status, code)[0] is AnswerKind.AMBIGUOUS


@pytest.mark.parametrize("code", [0, 20429, 12345])
def test_too_many_requests_was_never_processed_whatever_code_it_gives(code: int) -> None:
    assert classify(429, code)[0] is AnswerKind.NOT_SENT
