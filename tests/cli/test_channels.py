"""How messages leave: seen, paced and let go on again, without starting anything anew."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from tellfirst.channels.base import Adapter
from tellfirst.channels.in_app import InAppInbox
from tellfirst.channels.outbox import Outbox
from tellfirst.channels.person import PersonCalls
from tellfirst.channels.push import FcmPush
from tellfirst.channels.resend import ResendMail
from tellfirst.channels.sendgrid import SendGridMail
from tellfirst.channels.sms import TwilioSms
from tellfirst.channels.smtp import SmtpMail
from tellfirst.channels.voice import TwilioVoice
from tellfirst.channels.whatsapp import TwilioWhatsApp
from tellfirst.cli.channels import IDEMPOTENCY
from tellfirst.domain.message import Channel
from tellfirst.settings import Settings
from tellfirst.store.chain import Chain
from tellfirst.store.consents import Consents
from tellfirst.store.controls import Controls
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.engine import Database
from tellfirst.store.rates import Rates
from tests.cli.conftest import Shell

ADAPTERS: dict[type[Adapter], str] = {
    Outbox: "outbox",
    TwilioSms: "twilio",
    TwilioWhatsApp: "twilio",
    TwilioVoice: "twilio",
    SmtpMail: "smtp",
    SendGridMail: "sendgrid",
    ResendMail: "resend",
    FcmPush: "fcm",
    InAppInbox: "inbox",
    PersonCalls: "calls",
}
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_every_channel_is_listed_with_what_it_promises(shell: Shell, database: Database) -> None:
    listed = shell("channels", "list", "--json").document["channels"]
    assert [one["channel"] for one in listed] == list(get_args(Channel))
    assert listed[0] == {
        "channel": "sms",
        "provider": "outbox",
        "idempotency": "key",
        "rate": None,
        "halted": None,
        "since": None,
    }
    assert shell("channels", "list").out.splitlines()[1].split() == [
        "sms",
        "outbox",
        "repeated",
        "by",
        "key",
        "no",
        "limit",
        "-",
    ]


def test_every_provider_that_can_be_set_promises_what_its_adapter_does() -> None:
    can_be = {p for c in get_args(Channel) for p in get_args(Settings.model_fields[c].annotation)}
    assert can_be == set(IDEMPOTENCY)
    for adapter, provider in ADAPTERS.items():
        assert adapter.idempotency == IDEMPOTENCY[provider], provider
    assert set(ADAPTERS.values()) == can_be


def test_a_rate_is_set_at_once_and_says_by_whom(shell: Shell, database: Database) -> None:
    done = shell("channels", "rate", "sms", "10", "--as", "ana")
    assert (done.code, done.out) == (0, "sms: 10 segments a second, at once\n")
    rate = Rates(database).of("sms")
    assert (rate.per_second, rate.by) == (10, "ana")
    assert shell("channels", "list", "--json").document["channels"][0]["rate"] == 10
    assert shell("channels", "rate", "email", "2.5").out == "email: 2.5 messages a second, at once\n"
    assert shell("channels", "rate", "sms", "none").out == "sms: no limit, at once\n"


def test_the_settings_have_the_default(shell: Shell, database: Database) -> None:
    shell.environment["TELLFIRST_SMS_RATE"] = "3"
    assert shell("channels", "list", "--json").document["channels"][0]["rate"] == 3
    shell("channels", "rate", "sms", "10")
    assert shell("channels", "rate", "sms", "default").out == "sms: 3 segments a second, at once\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("rate", "fax", "1"), "there is no such channel; one of sms, whatsapp"),
        (("resume", "fax"), "there is no such channel"),
        (("rate", "sms", "0"), "from 0.01 to 100000"),
        (("rate", "sms", "fast"), "from 0.01 to 100000"),
        (("rate", "sms", "nan"), "from 0.01 to 100000"),
        (("rate", "sms", "inf"), "from 0.01 to 100000"),
    ],
)
def test_what_cannot_be_meant_is_refused(shell: Shell, database: Database, words: tuple[str, ...], reason: str) -> None:
    done = shell("channels", *words)
    assert (done.code, done.out) == (2, "")
    assert reason in done.err
    assert Rates(database).all() == {}


def test_a_halt_is_shown_and_lifted_and_both_are_written_down(shell: Shell, database: Database) -> None:
    Controls(database).turn_on("channel:sms", "configuration:20003", by="twilio", at=NOW)
    listed = shell("channels", "list", "--json").document["channels"][0]
    assert (listed["halted"], listed["since"]) == ("configuration:20003", "2026-11-22T12:00:00+00:00")
    assert "configuration:20003 since Sun 22 Nov 2026, 12:00 UTC" in shell("channels", "list").out
    done = shell("channels", "resume", "sms", "--as", "ana")
    assert done.code == 0
    assert done.out.startswith("sms is no longer halted; ")
    assert Controls(database).on() == []
    assert shell("channels", "resume", "sms").out == "sms was not halted\n"
    told = [(entry.kind, entry.about, entry.actor) for entry in Chain(database).entries()]
    assert told == [("switch_on", "channel:sms", "twilio"), ("switch_off", "channel:sms", "ana")]


def test_it_is_told_when_a_customer_may_be_reached_and_what_tells_so(shell: Shell, database: Database) -> None:
    people = [
        CustomerRecord(id="c-1", region="US-FL", addresses={"sms": "+18505550100"}),
        CustomerRecord(id="c-2", business=True, addresses={"voice": "+493012345678"}),
        CustomerRecord(id="c-3", addresses={}),
    ]
    Customers(database).save(people, now=NOW, source="test")
    night = ("--at", "2026-11-23T05:00:00Z", "--json")
    first = shell("channels", "when", "c-1", *night).document
    assert (first["zones"], first["source"], first["region"]) == (
        ["America/New_York", "America/Chicago"],
        "region",
        "US-FL",
    )
    assert first["opens"]["sms"] == "2026-11-23T14:00:00+00:00"
    assert first["opens"]["email"] == "2026-11-23T05:00:00+00:00"
    at_work = shell("channels", "when", "c-2", *night).document
    assert (at_work["source"], set(at_work["opens"].values())) == ("phone", {"2026-11-23T08:00:00+00:00"})
    nowhere = shell("channels", "when", "c-3", *night).document
    assert (nowhere["zones"], nowhere["source"], nowhere["opens"]["sms"]) == ([], None, None)
    told = shell("channels", "when", "c-1", "--at", "2026-11-23T05:00:00Z").out.splitlines()
    assert told[:2] == ["zones   America/New_York, America/Chicago (by their region)", "hours   of US-FL"]
    assert told[4].split(maxsplit=1) == ["sms", "Mon 23 Nov 2026, 14:00 UTC"]
    # Hours alone would say "now" of what never reaches them.
    assert [line.split(maxsplit=1)[1] for line in told[5:]] == ["no address"] * 6
    assert first["barred"] == dict.fromkeys(("whatsapp", "voice", "email", "push", "in_app", "person"), "no address")
    Consents(database, everything=True).opt_out(["c-1"], channel="sms", at=NOW, source="test")
    assert shell("channels", "when", "c-1", *night).document["barred"]["sms"] == "opted out"
    assert shell("channels", "when", "c-9").code == 1
