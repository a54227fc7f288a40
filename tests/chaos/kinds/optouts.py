"""Customers who say stop while their outreach leaves: by text and by link, before their turn, in it and after it."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from sqlmodel import select

from tellfirst.domain.message import SendState
from tellfirst.policy.consent import may_contact
from tellfirst.policy.verdict import Consent
from tellfirst.signing.links import UNSUBSCRIBE, Links
from tellfirst.store.consents import Consents
from tellfirst.store.tables import ConsentRow, SendRow
from tests.chaos.kinds.provider import entries_of, judge
from tests.chaos.kinds.webhooks import PUBLIC, Outside, Post, listening, said, snapshot
from tests.chaos.place import Place, Told, number_of
from tests.chaos.report import Tallies

EACH = 10
"""How often a round makes each fault."""
WRITING = 15
"""How many write while their outreach leaves, for some write when it has left, and those do not count."""
OUTREACHES, PEOPLE = 4, 24
SLOW = 300
"""Milliseconds of every answer, so that stops find messages before, in and behind the gate."""
SPREAD = 3.0
"""Seconds over which stops by text come."""
CLICK = b"List-Unsubscribe=One-Click"


class Stops:
    """Says stop for customers, and keeps when each had been answered: from then on it is committed."""

    def __init__(self, place: Place, outside: Outside) -> None:
        self._outside = outside
        lifetime = timedelta(days=place.settings.link_days)
        self._links = Links(place.settings.digest_key(), base_url=PUBLIC, lifetime=lifetime)
        self.texts: dict[str, Post] = {}
        self.heard: dict[str, datetime] = {}
        self.refused: list[int] = []

    async def text(self, number: str, after: float = 0.0) -> None:
        """Lets somebody write STOP."""
        await asyncio.sleep(after)
        self.texts[number] = said(number, "STOP")
        await self._say(number, self.texts[number])

    async def click(self, number: str, row: SendRow, until: datetime) -> None:
        """Lets somebody press the button beside a message, which mail programs offer too."""
        path = self._links.unsubscribe(row.id, until).removeprefix(PUBLIC)
        assert path.startswith(UNSUBSCRIBE)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        await self._say(number, Post(path=path, body=CLICK, headers=headers))

    async def _say(self, number: str, post: Post) -> None:
        (answer,) = await self._outside.post(post)
        self.heard[number] = datetime.now(UTC)
        if answer != 200:
            self.refused.append(answer)


async def racing(place: Place, seen: Tallies, dice: Random) -> None:
    """Lets customers say stop before and while their messages leave: who was heard before the gate looked is spared."""
    async with listening(place) as outside:
        stops = Stops(place, outside)
        told = [await place.tell(PEOPLE, approve=False) for _ in range(OUTREACHES)]
        for one in told:
            await place.planned(one, within=120)
        numbers = sorted(number for one in told for number in one.numbers)
        dice.shuffle(numbers)
        early, clicking, writing = numbers[:EACH], numbers[EACH : 2 * EACH], numbers[2 * EACH : 2 * EACH + WRITING]
        await asyncio.gather(*(stops.text(number) for number in early))
        place.provider.fault("slow", ms=SLOW)
        try:
            begun = datetime.now(UTC)
            clicks = asyncio.create_task(_click(place, stops, told, clicking))
            texts = [stops.text(number, dice.uniform(0, SPREAD)) for number in writing]
            await asyncio.gather(*(place.approve(place.handle(one), within=120) for one in told), *texts, clicks)
            await asyncio.gather(*(place.settled(one) for one in told))
        finally:
            place.provider.clear()
        rows = entries_of(place, told)
        last = max(row.settled_at for row in rows.values() if row.settled_at is not None)
        for kind, those in (("text", writing), ("link", clicking)):
            seen.fault(f"stop by {kind} while it leaves", sum(begun < stops.heard[number] < last for number in those))
        seen.fault("stop by text before it leaves", len(early))
        judge(place, seen, told, spared=stops.heard)
        _look(place, seen, stops, rows, early)
        await _doubled(place, seen, outside)
        await _replayed(place, seen, outside, stops.texts, early)


async def deaf(place: Place, seen: Tallies, dice: Random) -> None:
    """Shows once that workers whose gate hears nobody would tell those who said stop."""
    name = "a gate that hears no opt-out"
    if name in seen.controls:
        return
    with tempfile.TemporaryDirectory() as folder:
        async with Place(Path(folder)) as other:
            other.environment["CHAOS_CONTROL"] = "deaf"
            other.people(0)
            async with other.working(1):
                told = await other.tell(EACH, approve=False)
                await other.planned(told, within=120)
                stopped = dice.sample(sorted(told.numbers), EACH // 2)
                customers = [customer_of(number) for number in stopped]
                Consents(other.database).opt_out(customers, channel="sms", at=datetime.now(UTC), source="test")
                await other.approve(other.handle(told), within=120)
                await other.settled(told)
            texts, verified = other.texts(), await other.verify()
            seen.controls[name] = any(texts[number] for number in stopped) and verified["after_optout"] > 0


ROUNDS = (racing, deaf)


async def _click(place: Place, stops: Stops, told: Sequence[Told], numbers: Sequence[str]) -> None:
    """Opens the link of each message as soon as it is planned: before there is one there is no link."""
    ends = {one.outreach: place.outreaches.revision(one.outreach, 1) for one in told}
    waiting = set(numbers)
    while waiting:
        rows = {number: row for number, row in entries_of(place, told).items() if number in waiting}
        waiting -= rows.keys()
        clicks = []
        for number, row in rows.items():
            revision = ends[row.outreach_id]
            assert revision is not None
            clicks.append(stops.click(number, row, revision.plan.initial.not_after))
        await asyncio.gather(*clicks)
        await asyncio.sleep(0.1)


def _look(place: Place, seen: Tallies, stops: Stops, rows: Mapping[str, SendRow], early: Sequence[str]) -> None:
    """Says who was told though what they said was committed before the gate looked, and what else was not obeyed."""
    texts = place.texts()

    def told_after(number: str) -> bool:
        intent = rows[number].intent_at
        return bool(texts[number]) and intent is not None and intent > stops.heard[number]

    seen.saw({"after_optout": sum(told_after(number) for number in stops.heard)})
    if stops.refused:
        seen.wrong(f"opt-outs: answered {sorted(set(stops.refused))} in place of 200")
    if any(rows[number].state != SendState.WITHHELD or texts[number] for number in early):
        seen.wrong("opt-outs: somebody who said stop before anything left was not spared")
    if any(may_contact(_words(place, number), "sms", "service") for number in stops.heard):
        seen.wrong("opt-outs: a stop that was answered is not there")


async def _doubled(place: Place, seen: Tallies, outside: Outside) -> None:
    """Lets the same stop come three times at once."""
    first = place.strangers(EACH)
    numbers = [number_of(n) for n in range(first, first + EACH)]
    posts = [said(number, "STOP") for number in numbers]
    await outside.post(*posts, *posts, *posts)
    seen.fault("stop doubled", EACH)
    if {len(_words(place, number)) for number in numbers} != {1}:
        seen.wrong("opt-outs: a stop that came three times counts more or less than once")


async def _replayed(
    place: Place, seen: Tallies, outside: Outside, stops: Mapping[str, Post], numbers: Sequence[str]
) -> None:
    """Lets an old word of a customer come again after a newer one: the newer one holds."""
    first = [stops[number] for number in numbers]
    starts = [said(number, "START") for number in numbers]
    again = [said(number, "STOP") for number in numbers]
    for newer, older, what in ((starts, first, "stop"), (again, starts, "start")):
        await outside.post(*newer)
        before = snapshot(place)
        await outside.post(*older)
        seen.fault(f"{what} replayed", len(older))
        if snapshot(place) != before:
            seen.wrong(f"opt-outs: an old {what} counts once more")
        opened = {may_contact(_words(place, number), "sms", "service") for number in numbers}
        if opened != {what == "stop"}:
            seen.wrong(f"opt-outs: what was said last does not hold after an old {what}")


def customer_of(number: str) -> str:
    """Returns whose a number is."""
    return f"c-{int(number.removeprefix(number_of(0)[:5]))}"


def _words(place: Place, number: str) -> list[Consent]:
    with place.database.read() as session:
        rows = session.exec(select(ConsentRow).where(ConsentRow.customer_id == customer_of(number)))
        return [Consent(channel=r.channel, purpose=r.purpose, allowed=r.allowed, at=r.at) for r in rows]
