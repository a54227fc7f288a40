"""What an approver sees: why, who and how many, the very texts, what happens next, what is withheld and why."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import update

from tellfirst.cli.show import follow
from tellfirst.domain.condition import Condition, Subject
from tellfirst.measurement.assignment import draw_everywhere, half_year
from tellfirst.store.customers import CustomerRecord
from tellfirst.store.engine import Database
from tellfirst.store.sending import Sending
from tellfirst.store.tables import RecipientRow
from tests.cli.conftest import Office, Shell
from tests.web.mornings import LATE, MINUTE, Morning


async def sent_to_six(office: Office) -> str:
    """Returns an outreach to five late parcels by SMS and one by e-mail; one opted out, one is unknown, one moved."""
    world = office.world
    world.hold_out(0.1)
    for number in range(1, 6):
        world.customer(f"c-{number}", timezone="Europe/Berlin")
    world.customers.save(
        [
            CustomerRecord(id="c-6", first_name="Zoe", addresses={"email": "zoe@example.com"}, opted_out=("sms",)),
            CustomerRecord(id="c-7", addresses={"sms": "+14155550177"}, opted_out=("*",)),
            CustomerRecord(id="c-8", addresses={}),
        ],
        now=datetime.now(UTC),
        source="test",
    )
    handle = await world.start(world.late(*(f"o-{n}" for n in range(1, 10))))
    await world.planned(handle.id)
    return handle.id


async def test_pending_lists_what_waits_and_for_whom(office: Office) -> None:
    assert (await office.run("pending")).out == "nothing waits for a decision\n"
    outreach = await sent_to_six(office)
    plan = office.world.outreaches.revision(outreach, 1).plan  # type: ignore[union-attr]
    assert (await office.run("pending", "--json")).document == [
        {
            "kind": "outreach",
            "outreach": outreach,
            "revision": 1,
            "recipients": 6,
            "since": plan.planned_at.isoformat(),
            "decide_by": plan.decide_by.isoformat(),
            "roles": ["Service lead"],
            "approved_by": [],
            "needed": 1,
        }
    ]
    listed = (await office.run("pending")).out
    assert [line.split()[:3] for line in listed.splitlines()[1:2]] == [[outreach, "1", "6"]]
    assert f"{plan.decide_by:%a %d %b %Y, %H:%M:%S} UTC" in listed or f"{plan.decide_by:%H:%M} UTC" in listed
    assert f"tellfirst show {outreach}" in listed


async def test_an_approver_sees_that_it_rings_at_night(office: Office) -> None:
    plain = await sent_to_six(office)
    assert "at any hour" not in (await office.run("show", plain)).out
    urgent = {'urgency = "normal"': 'urgency = "urgent"', "[limits]": '[when]\nquiet_hours = "ignore"\n\n[limits]'}
    office.world.override("late_delivery", urgent)
    handle = await office.world.start(office.world.late("o-1", key="urgent"))
    await office.world.planned(handle.id)
    assert "at any hour: it does not wait for the morning" in (await office.run("show", handle.id)).out


async def test_one_screen_says_what_an_approver_needs(office: Office) -> None:
    outreach = await sent_to_six(office)
    done = await office.run("show", outreach)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:2] == ["An order has not arrived when it was promised", outreach]
    for words in (
        "An order has not arrived when it was promised",
        "revision 1 is pending",
        "environment test, DRY RUN: messages go to the outbox and reach nobody",
        "contacts about where_is_my_order; purpose service; owner Delivery experience",
        "6 recipients: 5 by sms, 1 by email; 90% are told, 10% are held out to measure",
        "1 no usable address, 1 opted out, 1 not among our customers",
        "by Service lead; silence is not consent",
        "update-1: promised by",
        "resolved: instead of an update, as soon as it is over",
        "contacts count for 7 days",
        "sms: 3 samples, word for word",
        "email: 1 sample, word for word",
        "to c-6 (en): Your order o-6 is late",
    ):
        assert words in done.out
    assert "+1415" not in done.out
    assert "@example.com" not in done.out
    assert all(len(line) <= 100 for line in done.out.splitlines())
    assert all(line == line.rstrip() for line in done.out.splitlines())


async def test_samples_are_what_leaves_word_for_word(office: Office) -> None:
    outreach = await sent_to_six(office)
    before = (await office.run("show", outreach, "--json")).document
    samples = {sample["customer"]: sample for sample in before["offer"]["samples"]}
    assert sorted(samples) == ["c-1", "c-2", "c-3", "c-6"]
    await office.approve(outreach)
    sent = office.world.sms.sent, office.world.email.sent
    await office.world.until(lambda: sum(map(len, sent)) == office.world.recipients.arms(outreach).get("treated", -1))
    bodies = {message.rendered.body for messages in sent for message in messages}
    treated = [c for c, sample in samples.items() if sample["body"] in bodies]
    assert treated  # whoever of the samples was not held out got exactly what was shown
    assert "CET" in samples["c-1"]["body"] or "CEST" in samples["c-1"]["body"]
    shown = (await office.run("show", outreach)).out
    folded = " ".join(shown.split())
    for sample in samples.values():
        assert " ".join(sample["body"].split()) in folded


async def test_six_texts_by_sms_fit_on_one_screen(office: Office) -> None:
    for number in range(1, 7):
        office.world.customer(f"c-{number}")
    handle = await office.world.start(office.world.late(*(f"o-{n}" for n in range(1, 8))))
    await office.world.planned(handle.id)
    assert len((await office.run("show", handle.id)).out.splitlines()) <= 45


async def test_show_tells_what_was_decided_and_sent(office: Office) -> None:
    outreach = await sent_to_six(office)
    await office.approve(outreach)
    await office.world.until(lambda: len(office.world.sms.sent) > 0)
    handle = office.world.env.client.get_workflow_handle(outreach)
    await office.world.until(lambda: office.world.sends.tally(outreach).planned == 0)
    shown = await office.run("show", outreach)
    assert "revision 1 is approved" in shown.out
    assert "decide by" not in shown.out
    assert "initial: at once" in shown.out
    assert "approve by eve, revision 1, accepted" in shown.out
    assert "initial: " in shown.out
    assert " accepted" in shown.out
    assert " treated" in shown.out
    await office.run("pause", outreach)
    await office.world.until(lambda: office.world.outreaches.get(outreach).paused)  # type: ignore[union-attr]
    assert "held by a person (pause or abort)" in (await office.run("show", outreach)).out
    del handle


async def test_show_counts_who_is_held_out_by_what_and_names_nobody_before_the_draw(office: Office) -> None:
    office.shell.environment["TELLFIRST_GLOBAL_HOLDOUT"] = "0.5"
    await office.world.with_settings(global_holdout=0.5)
    outreach = await sent_to_six(office)
    before = await office.run("show", outreach)
    assert "45% are told, 55% are held out to measure, 50% by the hold-out of all outreaches" in " ".join(
        before.out.split()
    )
    assert "treated" not in before.out
    offer = (await office.run("show", outreach, "--json")).document["offer"]
    assert (offer["global_holdout"], offer["arms"], offer["held_out"]) == (0.5, {}, {})
    await office.approve(outreach)
    held = {
        f"c-{n}"
        for n in range(1, 7)
        if draw_everywhere("holdout-v1", half_year(datetime.now(UTC)), f"c-{n}", 0.5).arm == "control"
    }
    await office.world.until(lambda: sum(office.world.recipients.arms(outreach).values()) == 6)
    shown = (await office.run("show", outreach, "--json")).document["offer"]
    assert shown["held_out"].get("global", 0) == len(held) > 0
    assert sum(shown["held_out"].values()) == shown["arms"]["control"]
    words = " ".join((await office.run("show", outreach)).out.split())
    assert f"{len(held)} by the hold-out of all outreaches" in words


async def test_an_approver_sees_that_some_are_told_later(office: Office) -> None:
    office.world.override("late_delivery", {"holdout = 0\n": 'holdout = 0\nphased = true\nphase = "PT2H"\n'})
    office.world.customer("c-1")
    handle = await office.world.start(office.world.late("o-1"))
    await office.world.planned(handle.id)
    words = " ".join((await office.run("show", handle.id)).out.split())
    assert "all are told, nobody is held out; told in 2 phases, 2 h apart, as chance has it" in words


async def test_live_is_said_where_texts_leave(office: Office) -> None:
    outreach = await sent_to_six(office)
    office.shell.environment["TELLFIRST_SMS"] = "twilio"
    shown = await office.run("show", outreach)
    assert "environment test, LIVE: sms leaves through Twilio" in shown.out
    assert (await office.run("show", outreach, "--json")).document["live"] is True


async def test_reminders_are_shown(office: Office) -> None:
    outreach = await sent_to_six(office)
    await office.world.pass_time(office.world.env.client.get_workflow_handle(outreach), hours=5)
    await office.world.until(lambda: office.world.notices.of(outreach))
    assert "to Service lead: " in (await office.run("show", outreach)).out


async def test_who_is_on_it_and_what_was_not_delivered_is_shown(office: Office) -> None:
    world = office.world
    notify = world.folder / "notify.toml"
    notify.write_text(
        '[ways.leads]\nemail = "leads@example.com"\n'
        '[smtp]\nhost = "127.0.0.1"\nport = 1\nsender = "tellfirst@example.com"\nsecurity = "none"\n'
        '[to]\n"Service lead" = ["leads", "console"]\n'
    )
    await world.with_settings(notify=notify)
    outreach = await sent_to_six(office)
    await office.run("escalate", outreach, "--reason", "the carrier's site says otherwise", "--as", "eve")
    await world.until(lambda: world.notices.of(outreach))
    done = await office.run("ack", outreach, "--as", "eve")
    assert (done.code, done.out) == (0, f"{outreach}: acknowledged by eve\n")
    await world.until(lambda: [one.acknowledged_by for one in world.escalations.open()] == ["eve"])
    await world.until(lambda: any(way.attempts for ways in world.notices.deliveries(outreach).values() for way in ways))
    shown = " ".join((await office.run("show", outreach)).out.split())
    assert "the carrier's site says otherwise (level 1 of 3, acknowledged by eve, " in shown
    assert (
        "to Service lead: the carrier's site says otherwise; NOT DELIVERED by leads (ConnectionRefusedError)" in shown
    )
    document = (await office.run("show", outreach, "--json")).document
    assert [one["acknowledged_by"] for one in document["escalations"]] == ["eve"]
    assert document["notices"][0]["undelivered"] == ["leads (ConnectionRefusedError)"]
    assert (await office.run("ack", outreach, "--done", "--as", "eve")).out == f"{outreach}: settled by eve\n"
    await world.until(lambda: world.escalations.open() == [])


@pytest.mark.parametrize("reason", ["call anna@example.com", "call +4915112345678"])
def test_an_address_is_not_raised(shell: Shell, reason: str) -> None:
    done = shell("escalate", "outreach/x/y/1", "--reason", reason)
    assert done.code == 2
    assert reason.split()[1] not in done.err


async def test_an_outreach_with_nobody_to_tell_says_why(office: Office) -> None:
    condition = Condition(
        trigger="late_delivery",
        key=office.world.key,
        detected_at=datetime.now(UTC),
        subjects=(Subject(key="o-1", customer="c-404", facts={"order_id": "o-1", "promised_at": "2026-11-20"}),),
    )
    handle = await office.world.start(condition)
    await handle.result()
    shown = await office.run("show", handle.id)
    assert shown.code == 0
    assert "nothing_to_do, nobody_to_tell" in shown.out
    assert "1 not among our customers" in shown.out


async def test_a_revision_that_is_not_there_is_named(office: Office) -> None:
    outreach = await sent_to_six(office)
    done = await office.run("show", outreach, "--revision", "7")
    assert (done.code, done.err) == (1, f"{outreach}: there is no revision 7; the latest is revision 1\n")


def test_an_outreach_that_is_not_there_is_named(shell: Shell) -> None:
    done = shell("show", "outreach/late_delivery/none/1")
    assert (done.code, done.out) == (1, "")
    assert "there is no outreach of that name; see `tellfirst pending`; one just started is there once" in done.err


def leaving(database: Database, **more: Any) -> None:
    """Puts in an outreach to twenty, half of whom were told within half a minute."""
    morning, now = Morning(database), datetime.now(UTC)
    morning.outreach(LATE, at=now - MINUTE, people=20, pages=2, **more)
    for number in range(2):
        morning.page(LATE, number, 10)
    morning.people(LATE, {"treated": 10}, {"accepted": 8, "failed": 2}, at=now - MINUTE / 2)
    with database.write() as session:
        session.execute(update(RecipientRow).values(facts={"order_id": "o-1", "promised_at": "2026-11-20"}))


def test_show_tells_how_fast_it_leaves_and_how_long_the_rest_takes(shell: Shell, database: Database) -> None:
    leaving(database)
    assert re.search(r"sending +10 in the last minute; 10 wait; about 3\d s left\n", shell("show", LATE).out)
    sending = shell("show", LATE, "--json").document["sending"]
    assert (sending["lately"], sending["waiting"], sending["paced"]) == (10, 10, "")
    shell.environment["TELLFIRST_SMS_RATE"] = "0.01"
    assert shell("show", LATE, "--json").document["sending"]["paced"] == "sms"


def test_what_is_stopped_is_shown_at_once(shell: Shell, database: Database) -> None:
    leaving(database, paused=True)
    assert "nothing leaves while it is stopped; 10 wait" in shell("show", LATE, "--watch").out


@pytest.mark.parametrize("last", [None, {"waiting": 0}, {"stopped": True}])
def test_it_is_followed_until_nothing_more_leaves(last: dict[str, object] | None) -> None:
    way = Sending(waiting=9, deferred=0, lately=3, left=None, paced="", stopped=False)
    seen = iter([way, way, last and way.model_copy(update=last)])
    rests: list[float] = []
    follow(lambda: next(seen), rest=rests.append)
    assert rests == [2.0, 2.0]
    assert next(seen, "none is left") == "none is left"
