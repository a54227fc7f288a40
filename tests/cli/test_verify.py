"""The proof: each kind of broken promise is made by hand, and found."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from tellfirst.channels.outbox import Outbox
from tellfirst.cli.proof import Proof, Prover
from tellfirst.cli.wiring import opened
from tellfirst.contract import Stage
from tellfirst.signing.audience import page_digest
from tellfirst.signing.leaves import leaf_of
from tellfirst.signing.registry import Registry
from tests.cli.conftest import Office, Shell, register

KEYS = (
    *("outreaches", "sends", "accepted", "lost", "duplicate", "unauthorised", "after_optout", "unknown_held"),
    *("audit_ok", "promises_broken"),
)


class Told:
    """Is an outreach that told three customers."""

    def __init__(self, office: Office, outreach: str) -> None:
        self.office, self.outreach = office, outreach

    async def verify(self, *words: str | Path) -> Any:
        """Returns the figures; the exit code has to agree with them."""
        done = await self.office.run("verify", "--json", *words)
        figures = done.document
        assert tuple(figures) == KEYS
        broken = any(figures[name] for name in ("lost", "duplicate", "unauthorised", "after_optout"))
        assert done.code == (1 if broken or not figures["audit_ok"] else 0)
        assert bool(figures["promises_broken"]) == (done.code == 1)
        return figures

    def prove(self, *, now: datetime) -> Proof:
        with opened(self.office.world.settings) as here:
            registry = Registry.load(self.office.world.registry)
            return Prover(here, lambda: registry, now=now, log=None, step=lambda _: None).prove()

    def change(self, statement: str, **values: object) -> None:
        assert self.office.world.app is not None
        with self.office.world.app.database.write() as session:
            done = session.connection().execute(text(statement), values)
            assert done.rowcount > 0

    def read(self, statement: str) -> Any:
        assert self.office.world.app is not None
        with self.office.world.app.database.read() as session:
            return session.connection().execute(text(statement)).scalar_one()

    def log(self, *changed: dict[str, Any], leave_out: int = 0) -> Path:
        """Returns the provider's log of what it accepted, less some, and `changed` copies of the first."""
        lines = [
            {"sid": f"p-{m.send_id}", "to": m.address, "body": m.rendered.body, "at": 0.0, "status_callback": None}
            for m in self.office.world.sms.sent
        ]
        lines = lines[leave_out:] + [{**lines[0], **one} for one in changed]
        return self.office.shell.file("log.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


async def tell(office: Office) -> Told:
    world = office.world
    for number in (1, 2, 3):
        world.customer(f"c-{number}")
    handle = await world.start(world.late("o-1", "o-2", "o-3"))
    await office.approve(handle.id)
    await world.until(lambda: world.sends.tally(handle.id).accepted == 3)
    await world.stage(handle, Stage.AWAITING_WINDOW)  # no worker is about to send what the tests change
    return Told(office, handle.id)


@pytest_asyncio.fixture(loop_scope="session")
async def by_provider(office: Office) -> AsyncIterator[Told]:
    """Is told by a provider that keeps a log."""
    yield await tell(office)


@pytest_asyncio.fixture(loop_scope="session")
async def by_outbox(office: Office) -> AsyncIterator[Told]:
    """Is told into the outbox."""
    office.world.sms = Outbox(office.world.settings.outbox, "sms")  # type: ignore[assignment]
    await office.world.with_settings()
    yield await tell(office)


def test_an_empty_installation_keeps_every_promise(shell: Shell) -> None:
    done = shell("verify", "--json")
    assert done.code == 0
    assert done.document == {**dict.fromkeys(KEYS, 0), "audit_ok": True, "promises_broken": []}
    assert shell("verify").out.splitlines()[-1] == "every promise held"


# -- what arrived


async def test_what_lies_in_the_outbox_is_accounted_for(by_outbox: Told) -> None:
    figures = await by_outbox.verify()
    assert (figures["outreaches"], figures["sends"], figures["accepted"]) == (1, 3, 3)
    files = sorted(by_outbox.office.world.settings.outbox.glob("*.json"))
    assert len(files) == 3
    files[0].unlink()
    assert (await by_outbox.verify())["lost"] == 1
    human = await by_outbox.office.run("verify")
    assert human.code == 1
    assert human.err == "1 message was recorded as sent or due to be sent and cannot be found\n"


async def test_a_message_in_the_outbox_that_no_send_explains_is_one_too_many(by_outbox: Told) -> None:
    file = next(by_outbox.office.world.settings.outbox.glob("*.json"))
    message = json.loads(file.read_text())
    (file.parent / "another.json").write_text(json.dumps({**message, "send_id": "another"}))
    assert (await by_outbox.verify())["duplicate"] == 1
    by_outbox.change("UPDATE sends SET state = 'withheld', attempts = 0 WHERE id = :id", id=file.stem)
    assert (await by_outbox.verify())["duplicate"] == 2


async def test_another_text_than_the_recorded_one_was_approved_by_nobody(by_outbox: Told) -> None:
    file = next(by_outbox.office.world.settings.outbox.glob("*.json"))
    file.write_text(json.dumps({**json.loads(file.read_text()), "body": "Pay at once."}))
    assert (await by_outbox.verify())["unauthorised"] == 1


async def test_a_message_on_another_channel_is_not_the_sends(by_outbox: Told) -> None:
    file = next(by_outbox.office.world.settings.outbox.glob("*.json"))
    file.write_text(json.dumps({**json.loads(file.read_text()), "channel": "email"}))
    assert (await by_outbox.verify())["duplicate"] == 1


async def test_the_providers_log_agrees(by_provider: Told) -> None:
    figures = await by_provider.verify("--provider-log", by_provider.log())
    assert (figures["accepted"], figures["lost"], figures["duplicate"], figures["unauthorised"]) == (3, 0, 0, 0)


@pytest.mark.parametrize(
    ("lines", "figure"),
    [
        ({}, "duplicate"),  # the same sid twice
        ({"sid": "p-other"}, "duplicate"),  # the same text to the same number under another id
        ({"sid": "p-other", "body": "Pay at once."}, "unauthorised"),
        ({"sid": "p-other", "to": "+14155559999"}, "unauthorised"),
    ],
)
async def test_a_logged_message_too_many_is_found(by_provider: Told, lines: dict[str, str], figure: str) -> None:
    figures = await by_provider.verify("--provider-log", by_provider.log(lines))
    assert {name: figures[name] for name in ("lost", "duplicate", "unauthorised")} == {
        **dict.fromkeys(("lost", "duplicate", "unauthorised"), 0),
        figure: 1,
    }


async def test_a_callback_names_the_send_whatever_the_number(by_provider: Told) -> None:
    send = by_provider.office.world.sms.sent[0].send_id
    line = {"sid": "p-other", "to": "+14155559999", "status_callback": f"https://x.example/twilio/status?d={send}"}
    assert (await by_provider.verify("--provider-log", by_provider.log(line)))["duplicate"] == 1


async def test_a_message_that_the_provider_never_saw_is_lost(by_provider: Told) -> None:
    assert (await by_provider.verify("--provider-log", by_provider.log(leave_out=1)))["lost"] == 1
    assert (await by_provider.verify())["lost"] == 0  # without the log nobody can tell


async def test_one_message_cannot_be_two_sends(by_provider: Told) -> None:
    by_provider.change("UPDATE sends SET provider_id = (SELECT min(provider_id) FROM sends)")
    kept = by_provider.read("SELECT min(provider_id) FROM sends")
    log = by_provider.office.shell.file("log.jsonl", json.dumps({"sid": kept, "to": "+1", "body": "x"}) + "\n")
    assert (await by_provider.verify("--provider-log", log))["lost"] == 2


async def test_a_send_held_as_unknown_explains_its_message_once(by_provider: Told) -> None:
    send = by_provider.office.world.sms.sent[0].send_id
    by_provider.change("UPDATE sends SET state = 'unknown', provider_id = '' WHERE id = :id", id=send)
    figures = await by_provider.verify("--provider-log", by_provider.log())
    assert (figures["unknown_held"], figures["accepted"], figures["duplicate"]) == (1, 2, 0)
    twice = await by_provider.verify("--provider-log", by_provider.log({"sid": "p-other"}))
    assert twice["duplicate"] == 1
    # A worker that died in flight recorded no text: the approved one is compared.
    by_provider.change("UPDATE sends SET body_digest = '' WHERE id = :id", id=send)
    assert (await by_provider.verify("--provider-log", by_provider.log()))["duplicate"] == 0


@pytest.mark.parametrize("line", ["{", '{"sid": "x"}', "[]"])
async def test_a_log_that_is_none_is_named_by_its_line(by_provider: Told, line: str) -> None:
    log = by_provider.log()
    log.write_text(log.read_text() + line + "\n")
    done = await by_provider.office.run("verify", "--provider-log", log)
    assert (done.code, done.out) == (2, "")
    assert "line 4 is not a message with sid, to and body" in done.err


def test_a_log_that_is_not_there_is_named(shell: Shell) -> None:
    done = shell("verify", "--provider-log", "none.jsonl")
    assert (done.code, done.out) == (2, "")
    assert "none.jsonl: cannot be read" in done.err


async def test_an_old_intent_is_as_good_as_unknown(by_provider: Told) -> None:
    by_provider.change("UPDATE sends SET state = 'intent' WHERE id = (SELECT min(id) FROM sends)")
    now = datetime.now(UTC)
    assert by_provider.prove(now=now).unknown_held == 0
    assert by_provider.prove(now=now + timedelta(hours=2)).unknown_held == 1


async def test_whoever_a_closed_outreach_left_waiting_is_lost(by_provider: Told) -> None:
    by_provider.change("UPDATE sends SET state = 'planned' WHERE id = (SELECT min(id) FROM sends)")
    assert (await by_provider.verify())["lost"] == 0  # it may still leave
    by_provider.change("UPDATE outreaches SET ending = 'measured'")
    assert (await by_provider.verify())["lost"] == 1
    by_provider.change("DELETE FROM sends WHERE id = (SELECT min(id) FROM sends)")
    assert (await by_provider.verify())["lost"] == 1
    by_provider.change("UPDATE outreaches SET paused = 1")
    assert (await by_provider.verify())["lost"] == 0  # a person held it


# -- what was approved


@pytest.mark.parametrize(
    ("statement", "messages"),
    [
        ("DELETE FROM decisions", 3),
        ("UPDATE decisions SET accepted = 0", 3),
        ("UPDATE decisions SET decision = 'reject'", 3),
        ("UPDATE decisions SET received_at = datetime(received_at, '+10 minutes')", 3),
        ("UPDATE decisions SET envelope = json_set(envelope, '$.document.audience_count', 4)", 3),
        ("UPDATE sends SET nonce = 'another' WHERE id = (SELECT min(id) FROM sends)", 1),
        ("UPDATE sends SET intent_at = NULL WHERE id = (SELECT min(id) FROM sends)", 1),
        ("UPDATE sends SET intent_at = '2999-01-01 00:00:00' WHERE id = (SELECT min(id) FROM sends)", 1),
        ("UPDATE sends SET body_digest = 'x' WHERE id = (SELECT min(id) FROM sends)", 1),
        ("UPDATE sends SET customer_id = 'c-2' WHERE customer_id = 'c-1'", 1),
        ("UPDATE sends SET channel = 'email' WHERE id = (SELECT min(id) FROM sends)", 1),
        ("UPDATE sends SET page = 4 WHERE id = (SELECT min(id) FROM sends)", 1),
        ("UPDATE recipients SET page = NULL WHERE position = 1", 3),  # one off the page, and so two on another page
        ("UPDATE recipients SET address_digest = 'x' WHERE position = 1", 3),
        ("UPDATE pages SET digest = 'x'", 3),
        ("UPDATE revisions SET proposal = json_set(proposal, '$.audience_root', 'x')", 3),
    ],
)
async def test_a_message_without_a_decision_that_covers_it_is_found(
    by_provider: Told, statement: str, messages: int
) -> None:
    assert (await by_provider.verify())["unauthorised"] == 0
    by_provider.change(statement)
    figures = await by_provider.verify()
    assert figures["unauthorised"] == messages


async def test_a_page_that_was_exchanged_whole_does_not_belong_to_the_signed_root(by_provider: Told) -> None:
    world = by_provider.office.world
    by_provider.change("UPDATE recipients SET address_digest = 'x' WHERE position = 1")
    rows = world.recipients.page(by_provider.outreach, 1, 0)
    by_provider.change("UPDATE pages SET digest = :d", d=page_digest([leaf_of(r, r.content_digest) for r in rows]))
    assert (await by_provider.verify())["unauthorised"] == 3


async def test_a_decision_that_cannot_be_read_any_more_is_told(by_provider: Told) -> None:
    by_provider.change("UPDATE decisions SET envelope = '{}'")
    figures = await by_provider.verify()
    assert (figures["audit_ok"], figures["unauthorised"]) == (False, 3)
    assert "an accepted decision can no longer be read" in figures["promises_broken"]


@pytest.mark.parametrize(("revoked", "unauthorised"), [(timedelta(hours=1), 0), (timedelta(hours=-1), 3)])
async def test_a_key_counts_until_it_is_revoked(by_provider: Told, revoked: timedelta, unauthorised: int) -> None:
    office = by_provider.office
    register(office.world.registry, office.eve)
    at = (datetime.now(UTC) + revoked).isoformat(timespec="seconds")
    office.world.registry.write_text(office.world.registry.read_text() + f"revoked = {at}\n")
    assert (await by_provider.verify())["unauthorised"] == unauthorised


async def test_without_the_registry_nothing_can_be_verified(by_provider: Told) -> None:
    by_provider.office.world.registry.unlink()
    done = await by_provider.office.run("verify")
    assert (done.code, done.out) == (2, "")
    assert "the registry of approvers cannot be read" in done.err


# -- what customers said


@pytest.mark.parametrize(
    ("channel", "purpose", "minutes", "after", "found"),
    [
        ("sms", "*", -5, None, 1),
        ("*", "service", -5, None, 1),
        ("email", "*", -5, None, 0),
        ("sms", "marketing", -5, None, 0),
        ("sms", "*", 5, None, 0),  # said after the message left
        ("sms", "*", -5, -4, 0),  # taken back before it left
        ("sms", "*", -5, 4, 1),  # taken back only after it left
    ],
)
async def test_a_message_after_an_opt_out_is_found(
    by_provider: Told, channel: str, purpose: str, minutes: int, after: int | None, found: int
) -> None:
    left = datetime.fromisoformat(by_provider.read("SELECT min(intent_at) FROM sends"))
    for allowed, when in ((False, minutes), (True, after)):
        if when is not None:
            by_provider.change(
                "INSERT INTO consents (customer_id, channel, purpose, allowed, at, source)"
                " VALUES ('c-1', :channel, :purpose, :allowed, :at, 'test')",
                channel=channel,
                purpose=purpose,
                allowed=allowed,
                at=(left + timedelta(minutes=when)).strftime("%Y-%m-%d %H:%M:%S.%f"),
            )
    assert (await by_provider.verify())["after_optout"] == found


# -- what customers were promised


async def test_a_promised_update_that_never_left_is_a_broken_promise(by_provider: Told) -> None:
    due = by_provider.office.world.outreaches.revision(by_provider.outreach, 1).plan.updates[0].due  # type: ignore[union-attr]
    assert due is not None
    assert by_provider.prove(now=due).promises_broken == []
    [sentence] = by_provider.prove(now=due + timedelta(seconds=1)).promises_broken
    assert sentence.startswith(f"{by_provider.outreach}: 3 customers were promised news by ")


@pytest.mark.parametrize(
    ("step", "state", "reason", "late", "broken"),
    [
        ("update-1", "accepted", "", False, 2),
        ("resolved", "accepted", "", False, 2),
        ("update-1", "unknown", "", False, 2),
        ("update-1", "accepted", "", True, 3),
        ("update-1", "withheld", "opted_out", False, 2),
        ("update-1", "withheld", "too_late", False, 3),
        ("update-1", "failed", "permanent:21211", False, 3),
    ],
)
async def test_news_in_time_or_a_reason_of_the_customers_own_keeps_the_promise(
    by_provider: Told, step: str, state: str, reason: str, late: bool, broken: int
) -> None:
    due = by_provider.office.world.outreaches.revision(by_provider.outreach, 1).plan.updates[0].due  # type: ignore[union-attr]
    assert due is not None
    at = due + timedelta(minutes=1 if late else -1)
    by_provider.change(
        "INSERT INTO sends (id, outreach_id, revision, recipient_id, customer_id, step, channel, page, state, reason,"
        " token, attempts, nonce, intent_at, adapter, provider_id, body_digest) SELECT 'x', outreach_id, revision,"
        " recipient_id, customer_id, :step, channel, page, :state, :reason, 1, 1, nonce, :at, adapter, '', ''"
        " FROM sends ORDER BY id LIMIT 1",
        step=step,
        state=state,
        reason=reason,
        at=at.strftime("%Y-%m-%d %H:%M:%S.%f"),
    )
    proof = by_provider.prove(now=due + timedelta(hours=1))
    [sentence] = [said for said in proof.promises_broken if "promised news" in said]
    assert f": {broken} customers " in sentence


async def test_a_life_to_its_end_keeps_every_promise(by_provider: Told) -> None:
    office = by_provider.office
    office.world.contacts_known()
    handle = office.world.env.client.get_workflow_handle(by_provider.outreach)
    await office.world.until(lambda: len(office.world.sms.sent) == 3)
    await office.world.env.fast_forward(handle)
    assert (await handle.result())["ending"] == "measured"
    figures = await by_provider.verify("--provider-log", by_provider.log())
    assert (figures["accepted"], figures["promises_broken"]) == (6, [])
    assert by_provider.prove(now=datetime.now(UTC) + timedelta(days=60)).promises_broken == []
