"""The local provider is what other tests believe, so its own promises are tested too."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tellfirst.channels.sms import TwilioSms
from tellfirst.domain.message import AnswerKind
from tests.channels.conftest import Make, account, outbound
from tests.provider import Provider
from tests.twilio_server import MESSAGES


async def test_a_killed_provider_remembers_what_it_accepted(tmp_path: Path) -> None:
    log, message, since = tmp_path / "log.jsonl", outbound(), datetime.now(UTC)
    with Provider(log) as provider:
        provider.fault("reset_after")
        sms = TwilioSms(account(provider), provider.service_sid)
        (answer,) = await sms.send([message], now=since)
        await sms.close()
    assert answer.kind is AnswerKind.AMBIGUOUS
    with Provider(log) as provider:
        sms = TwilioSms(account(provider), provider.service_sid)
        found = await sms.look_up(message, since)
        await sms.close()
    assert [record["sid"] for record in provider.accepted()] == [found and found.provider_id]


async def test_faults_apply_as_often_as_asked_and_to_whom(provider: Provider, sms: TwilioSms) -> None:
    provider.fault("refuse", code=21614, times=2)
    provider.fault("refuse", code=21610, to_suffix="77")
    kinds = []
    for to in ("+15550100077", "+15550100078", "+15550100078", "+15550100077"):
        (answer,) = await sms.send([outbound(to=to)], now=datetime.now(UTC))
        kinds.append(answer.detail)
    assert kinds == ["21614", "21614", "accepted", "21610"]
    assert provider.stats() | {"max_in_flight": 0} == {
        "requests": 4,
        "accepted": 1,
        "lookups": 0,
        "in_flight": 0,
        "max_in_flight": 0,
        "held": 0,
        "told": 0,
        "refused": 0,
        "refuse": 3,
    }


async def test_a_fault_with_a_probability_takes_its_share(provider: Provider, make: Make) -> None:
    provider.fault("error_before", probability=0.5)
    batch = [outbound(f"s-{n}", f"+1555010{n:04}") for n in range(40)]
    answers = [answer for n in range(0, 40, 8) for answer in await make().send(batch[n : n + 8], now=datetime.now(UTC))]
    failed = sum(answer.kind is AnswerKind.AMBIGUOUS for answer in answers)
    assert 8 < failed < 32
    assert len(provider.accepted()) == 40 - failed


def test_nobody_is_served_without_credentials(provider: Provider) -> None:
    for method, path in (("POST", f"{MESSAGES}.json"), ("GET", f"{MESSAGES}.json"), ("GET", f"{MESSAGES}/SM1.json")):
        assert httpx.request(method, provider.base_url + path, trust_env=False).status_code == 401


def test_pages_are_followed_and_one_message_is_fetched(provider: Provider) -> None:
    with httpx.Client(base_url=provider.base_url, auth=(provider.account_sid, provider.auth_token)) as client:
        form = {"To": "+15550100001", "Body": "Hello.", "From": "+15550109999"}
        sids = [client.post(f"{MESSAGES}.json", data=form).json()["sid"] for _ in range(5)]
        seen, page = [], f"{MESSAGES}.json?To=%2B15550100001&PageSize=2"
        while page:
            listed = client.get(page).json()
            seen += [message["sid"] for message in listed["messages"]]
            page = listed["next_page_uri"]
        assert seen == sids[::-1]
        assert client.get(f"{MESSAGES}/{sids[2]}.json").json()["sid"] == sids[2]
        assert client.get(f"{MESSAGES}.json?To=%2B15550100001&DateSent%3E=2020-01-01").json()["messages"] == []


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Body": "b", "From": "+15550109999"}, 21604),
        ({"To": "12", "Body": "b", "From": "+15550109999"}, 21211),
        ({"To": "+15550100001", "From": "+15550109999"}, 21602),
        ({"To": "+15550100001", "Body": "b" * 1601, "From": "+15550109999"}, 21617),
        ({"To": "+15550100001", "Body": "b"}, 21603),
    ],
)
def test_a_wrong_form_is_refused(provider: Provider, form: dict[str, str], code: int) -> None:
    auth = (provider.account_sid, provider.auth_token)
    answer = httpx.post(f"{provider.base_url}{MESSAGES}.json", data=form, auth=auth, trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert provider.accepted() == []
