"""Hundreds of customers over the world, by the shipped hours: each is told at a good hour, or it is said why not."""

import os
import random
import tomllib
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from sqlmodel import select

from tellfirst.policy.quiet import SHIPPED
from tellfirst.policy.zones import zones_of
from tellfirst.store.preferences import Preference, Preferences
from tellfirst.store.tables import RecipientRow, SendRow
from tests.figures import Figure
from tests.policy.test_quiet import violation
from tests.world import World

PEOPLE = int(os.environ.get("TELLFIRST_QUIET", "300"))
ZONES = (
    *("America/New_York", "America/Los_Angeles", "America/Sao_Paulo", "Europe/Berlin"),
    *("Asia/Kathmandu", "Asia/Tokyo", "Pacific/Auckland"),
)
REGIONS = ("US-FL", "US-RI", "US-NY", "DE")
QUIET = ((22 * 60, 10 * 60), (12 * 60, 15 * 60))


def customers(world: World, count: int) -> dict[str, dict[str, Any]]:
    """Adds customers of whom different things are known, and returns what is, by customer."""
    assert world.app is not None
    chance, chosen = random.Random(count), Preferences(world.app.database)
    known: dict[str, dict[str, Any]] = {}
    for n in range(count):
        case: dict[str, Any] = {
            "channel": "sms",
            "timing": {},
            "stated": chance.choice(ZONES) if chance.random() < 0.2 else None,
            "imported": chance.choice(ZONES) if chance.random() < 0.5 else None,
            "region": chance.choice(REGIONS) if chance.random() < 0.4 else None,
            "business": chance.random() < 0.2,
            "quiet": chance.choice(QUIET) if chance.random() < 0.3 else None,
            "phone": f"+1{chance.choice((212, 850, 415))}555{n:04d}",
        }
        world.customer(
            f"c-{n}",
            timezone=case["imported"],
            region=case["region"],
            business=case["business"],
            addresses={"sms": case["phone"]},
        )
        if case["stated"] or case["quiet"]:
            wish = Preference(timezone=case["stated"], quiet=case["quiet"])
            chosen.choose(f"c-{n}", wish, at=datetime.now(UTC))
        known[f"c-{n}"] = case
    return known


async def test_each_is_told_at_a_good_hour_for_them_or_it_is_said_why_not(world: World, figure: Figure) -> None:
    await world.with_settings(hours=None)
    known = customers(world, PEOPLE)
    handle = await world.start(world.late(*(f"o-{n}" for n in range(PEOPLE))))
    await world.approve(handle.id)
    world.contacts_known()
    result = await world.finish(handle)
    assert result.ending == "measured"
    assert world.app is not None
    with world.app.database.read() as session:
        sends = {s.customer_id: s for s in session.exec(select(SendRow).where(SendRow.step == "initial"))}
        rows = {r.customer_id: r for r in session.exec(select(RecipientRow))}
    raw = tomllib.loads(SHIPPED.read_text())
    became: Counter[str] = Counter()
    for name, case in known.items():
        send, row = sends.get(name), rows[name]
        if send is None or send.state == "withheld":
            why = send.reason if send else row.withheld or row.verdict
            assert why in ("too_late", "promise_in_quiet_hours"), (case, why)
            became[why] += 1
            continue
        assert send.state == "accepted"
        where = zones_of(**{word: case[word] for word in ("stated", "imported", "region", "phone")})
        assert not violation(raw, case, where, send.intent_at), (case, send.intent_at)  # type: ignore[arg-type]
        became["sent"] += 1
    assert became["sent"] > PEOPLE / 2
    waves = len({r.t0 for r in rows.values() if r.t0})
    told = ", ".join(f"{count} {what}" for what, count in became.most_common())
    figure(f"quiet hours: {PEOPLE} customers in one outreach, {waves} waves; {told}; 0 at a bad hour, 0 lost")
