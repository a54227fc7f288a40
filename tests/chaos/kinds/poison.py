"""Rows that spoil a text, addresses that are none, a template that fails for one row: nobody else is left out."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random

from tellfirst.client import OutreachClient
from tellfirst.domain.condition import Condition, Facts, Subject
from tellfirst.domain.recipient import ELIGIBLE
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.loader import load_file
from tellfirst.playbooks.render import compile_step
from tellfirst.store.customers import CustomerRecord, Customers
from tellfirst.store.recipients import Recipients
from tests.chaos.deciding import planned, signed, submit
from tests.chaos.place import Place, number_of
from tests.chaos.report import Tallies
from tests.faults.installation import until

GOOD = 12
"""Customers of an outreach about whom nothing is wrong."""
FACTS: Mapping[str, Facts] = {
    "control characters": {"order_id": "o\x07\x1b[2J"},
    "line breaks": {"order_id": "o-1\r\nBcc: x"},
    "marks that reverse": {"order_id": "o\u202e321"},
    "too long": {"order_id": "o" * 41},
    "huge": {"order_id": "o" * 100_000},
    "too many segments": {"order_id": "\U0001f600" * 40},
    "a number for a text": {"order_id": 12345},
    "a truth for a text": {"order_id": True},
    "nothing": {"order_id": None},
    "blanks": {"order_id": " \t "},
    "an address": {"order_id": "zebulon@example.org"},
    "a word for a date": {"promised_at": "soon"},
    "a day that never was": {"promised_at": "2026-02-30"},
    "a number for a date": {"promised_at": 20261120},
}
ADDRESSES = ("nonsense", "+", "0000", "+1415", "+1415555000012345678", "+1415555\r\n0001", "javascript:alert(1)")
TIMES = 10
"""Outreaches with poisoned rows in one round."""
POISONED = "poison"
"""What a customer's order is called about whom a template fails."""


async def rows(place: Place, seen: Tallies, dice: Random) -> None:
    """Tells customers of whom some have facts that make no text, and some an address that is none, again and again."""
    for _ in range(TIMES):
        await _rows(place, seen, dice)


async def _rows(place: Place, seen: Tallies, dice: Random) -> None:
    first = place.strangers(GOOD + len(FACTS) + len(ADDRESSES))
    good, spoiled = first + GOOD, first + GOOD + len(FACTS)
    records = [
        CustomerRecord(id=f"c-{n}", timezone="UTC", addresses={"sms": address})
        for n, address in enumerate(ADDRESSES, start=spoiled)
    ]
    Customers(place.database).save(records, now=datetime.now(UTC), source="test")
    facts = [*[{}] * GOOD, *FACTS.values(), *[{}] * len(ADDRESSES)]
    subjects = [_subject(n, one) for n, one in enumerate(facts, start=first)]
    dice.shuffle(subjects)
    outreach = await _told(place, "late_delivery", subjects)
    await until(lambda: place.sends.tally(outreach).failed == len(ADDRESSES), 60)
    await _judge(place, seen, outreach, range(first, good), range(good, spoiled + len(ADDRESSES)), len(FACTS))
    for kind in FACTS:
        seen.fault(f"poisoned row: {kind}")
    seen.fault("address that is none", len(ADDRESSES))
    _control(place, seen, subjects)


async def templates(place: Place, seen: Tallies, dice: Random) -> None:
    """Tells customers by a template that fails for some of them."""
    poisoned = dice.randint(10, 14)
    first = place.strangers(GOOD + poisoned)
    good = first + GOOD
    subjects = [
        _subject(n, {"order_id": f"{POISONED}-{n}"} if n >= good else {}) for n in range(first, good + poisoned)
    ]
    dice.shuffle(subjects)
    outreach = await _told(place, "odd_delivery", subjects)
    await _judge(place, seen, outreach, range(first, good), range(good, good + poisoned), poisoned)
    seen.fault("template that fails for one row", poisoned)


ROUNDS = (rows, templates)


def _subject(customer: int, facts: Facts) -> Subject:
    usual: Facts = {"order_id": f"o-{customer}", "promised_at": "2026-11-20"}
    return Subject(key=f"poison-{customer}", customer=f"c-{customer}", facts={**usual, **facts})


async def _told(place: Place, trigger: str, subjects: Sequence[Subject]) -> str:
    """Starts an outreach about subjects, approves it, and returns its id."""
    condition = Condition(
        trigger=trigger, key=min(one.key for one in subjects), detected_at=datetime.now(UTC), subjects=tuple(subjects)
    )
    outreach = (await OutreachClient(place.client).start(condition)).outreach
    answer = await submit(place, outreach, signed(place.ana, "ana", await planned(place, outreach, number=1)))
    assert answer.accepted, answer
    return outreach


async def _judge(
    place: Place, seen: Tallies, outreach: str, good: Sequence[int], poisoned: Sequence[int], without: int
) -> None:
    """Looks whether everybody else was told once, and nobody left out `without` a text is without a reason."""
    await until(lambda: place.sends.tally(outreach).accepted >= len(good), 120)
    async with asyncio.timeout(60):  # nothing is tried again for ever
        while (await place.client.get_workflow_handle(outreach).describe()).raw_description.pending_activities:
            await asyncio.sleep(0.1)
    texts = place.texts()
    times = [texts[number_of(n)] for n in good]
    seen.saw({"lost": times.count(0), "duplicate": sum(max(count - 1, 0) for count in times)})
    reasons = Recipients(place.database).verdicts(outreach, 1)
    if sum(reasons.values()) - reasons.get(ELIGIBLE, 0) != without:
        seen.wrong(f"{without} customers make no text, and these were left out: {reasons}")
    if told := sum(texts[number_of(n)] for n in poisoned):
        seen.wrong(f"{told} customers were told although their row is poisoned")


def _control(place: Place, seen: Tallies, subjects: Sequence[Subject]) -> None:
    """Shows that one row would keep everybody waiting where all texts are made or none."""
    name = "all texts of a page made or none"
    playbook = load_file(place.folder / "playbooks" / "late_delivery.toml").playbook
    template = compile_step(playbook, "initial", "sms", "en")
    try:
        [template.render(one.facts, promise=datetime.now(UTC), zone="UTC") for one in subjects]
    except RenderError:
        seen.controls[name] = True
    else:
        seen.controls[name] = False
