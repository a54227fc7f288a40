"""The story on sample data: three conditions; one is measured, one clears before its follow-up, one is rejected."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from demo_playbooks import DURATIONS, shorten
from demo_record import Record
from demo_sample import IDS, IN_REGION, LATE, OPTED_OUT, REGION, SEED, write_customers, write_shop
from demo_screen import DemoError, Screen, clock
from demo_stage import KEYS, Stage
from demo_support import Behaviour, affected, close_window

from tellfirst.channels.outbox import read_outbox
from tellfirst.domain.plan import Plan
from tellfirst.playbooks.loader import LIBRARY

SHOP, PEOPLE, OUTBOX = Path("shop.db"), Path("customers.csv"), Path("outbox")
INCIDENT = Path("incident.json")
DOWN = "outreach/service_disruption/inc-2041/1"


def show_durations(screen: Screen, names: Sequence[str] = tuple(DURATIONS), *, slower: int = 1) -> None:
    """Cuts the playbooks' durations to seconds and says so."""
    screen.say(
        "The playbooks are those of the library word for word, but for these durations, which are cut to seconds. "
        "The clock is the real one."
    )
    rows = shorten(LIBRARY, Path("playbooks"), names, slower=slower)
    screen.table(("duration", *(Path(name).name for name in names)), rows)


class Story:
    """Plays three conditions that overlap, as they would."""

    def __init__(self, stage: Stage, record: Record) -> None:
        self._stage, self._record, self._screen = stage, record, stage.screen

    def play(self) -> None:
        """Plays the story to its recorded outcomes; raises DemoError when something promised does not hold."""
        self._customers()
        late, plan, told_at = self._late_parcels()
        self._alarm()
        rejected = self._failed_payments()
        down_at = self._disruption()
        self._promise(late, plan)
        reasons = (
            ("where_is_my_order", told_at, LATE, 0.12, 0.36),
            ("service_down", down_at, IN_REGION, 0.12, 0.36),
            ("gift_card", told_at, LATE, 0.01, 0.01),
        )
        behaviours = [
            Behaviour(reason=reason, since=since, customers=affected(SHOP, query), told=told, not_told=not_told)
            for reason, since, query, told, not_told in reasons
        ]
        close_window(self._stage, self._record, [late, DOWN], behaviours)
        self._check(late, rejected)

    def _customers(self) -> None:
        self._screen.chapter("The customers")
        self._screen.say(
            f"{len(IDS)} invented ones, made with the fixed seed {SEED}; their addresses belong to nobody. "
            f"One of them, {OPTED_OUT}, has opted out of all messages, and one of the late parcels is theirs."
        )
        write_customers(PEOPLE)
        write_shop(SHOP, datetime.now(UTC))
        self._stage.tellfirst("customers", "import", str(PEOPLE))

    def _late_parcels(self) -> tuple[str, Plan, datetime]:
        self._screen.chapter("Parcels are late: told, followed up, measured")
        self._screen.say(
            f"The rule of the playbook late_delivery looks into the shop's own database, {SHOP}, which is only read. "
            "What is new becomes a condition, and each condition one durable workflow."
        )
        self._stage.tellfirst("detect", "late_delivery")
        outreach, plan = self._record.planned("late_delivery")
        self._stage.tellfirst("pending")
        self._screen.say("Ana looks at why, who and how many, and at the very words. The opt-out is not told.")
        self._stage.tellfirst("show", outreach)
        self._screen.say("She signs exactly this with her SSH key. Only now is drawn by chance who is held out.")
        self._stage.tellfirst("approve", outreach, "--yes")
        told_at = datetime.now(UTC)
        told = self._record.wait_for_start(outreach)
        held_out = self._record.arms(outreach).get("control", 0)
        self._screen.say(f"{told} messages have left. Held out, to measure against: {held_out} customers.")
        return outreach, plan, told_at

    def _alarm(self) -> None:
        self._screen.chapter("A false alarm: one person stops everything, two let it go on")
        self._stage.tellfirst("pause", "--all", "--as", "ben")
        self._screen.say("From now on nothing leaves, from no process. It was a mistake; one signature is not enough:")
        self._stage.tellfirst("resume", "--all", "--key", KEYS["ana"], "--yes")
        self._stage.tellfirst("resume", "--all", "--key", KEYS["ben"], "--yes")

    def _failed_payments(self) -> str:
        self._screen.chapter("Payments have failed: rejected")
        self._stage.tellfirst("detect", "payment_failed")
        outreach, _ = self._record.planned("payment_failed")
        self._stage.tellfirst("show", outreach)
        reason = "The bank had an outage and repeats these payments tonight."
        self._screen.say("Ana knows something that the rule does not know, so nobody is told.")
        self._stage.tellfirst("reject", outreach, "--yes", "--reason", reason)
        self._record.wait_for_end(outreach, "rejected")
        return outreach

    def _disruption(self) -> datetime:
        self._screen.chapter("A region is down: told, and over before the follow-up")
        self._screen.say("This one is not searched for: the tool that knows of the incident starts it, with some JSON.")
        key = DOWN.split("/")[2]
        condition = {
            "trigger": "service_disruption",
            "key": key,
            "detected_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "facts": {"component": "file uploads", "region": "Frankfurt"},
            "audience": {"query": "affected_region", "parameters": {"region": REGION}},
        }
        INCIDENT.write_text(f"{json.dumps(condition, indent=2)}\n")
        self._screen.verbatim(INCIDENT.read_text().rstrip())
        self._stage.tellfirst("start", str(INCIDENT))
        _, plan = self._record.planned("service_disruption")
        self._stage.tellfirst("show", DOWN)
        self._stage.tellfirst("approve", DOWN, "--yes")
        told_at = datetime.now(UTC)
        told, promise = self._record.wait_for_start(DOWN), plan.updates[0].due
        self._screen.say(f"{told} messages have left, and promise news by {clock(promise)}.")
        self._screen.say("It works again. The tool says so with a signal, which any Temporal client can send:")
        self._stage.shown(
            *("temporal", "workflow", "signal", "--workflow-id", DOWN, "--name", "condition_cleared"),
            *("--input", json.dumps({"event_id": f"{key}-over"})),
        )
        self._record.wait_for_news(DOWN, promise)
        self._screen.say(
            f"All {told} were told by {clock(datetime.now(UTC))} that it is over. That keeps the promise, "
            "and the update that was planned is not sent."
        )
        return told_at

    def _promise(self, late: str, plan: Plan) -> None:
        self._screen.chapter("The promise of the late parcels falls due")
        update = plan.updates[0]
        self._screen.say(
            f"Waiting for the promised update, due {clock(update.due)}. From {clock(update.act_at)} on, the workflow "
            "looks at the shop's database again; whoever still waits for a parcel gets it. (The texts name the time "
            "to the minute.)"
        )
        updates, _ = self._record.wait_for_news(late, update.due)
        self._screen.say(f"{updates} updates had left by {clock(datetime.now(UTC))}: the promise is kept.")

    def _check(self, late: str, rejected: str) -> None:
        self._screen.chapter("What came of it")
        steps = ("initial", "update-1", "resolved")
        self._screen.table(
            ("outreach", "ended", "first message", "update", "resolved", "held out"),
            [
                (
                    *(name, self._record.ending(name)),
                    *(self._record.sent(name, step) for step in steps),
                    self._record.arms(name).get("control", 0),
                )
                for name in (late, DOWN, rejected)
            ],
            numbers=("first message", "update", "resolved", "held out"),
        )
        self._stage.tellfirst("report")
        self._screen.say("And whether all that was promised held, recomputed from the records:")
        self._stage.tellfirst("verify")
        told = {message.address for message in read_outbox(OUTBOX)}
        if self._record.addresses(OPTED_OUT) & told:
            raise DemoError(f"{OPTED_OUT} was told, who had opted out")
        if any(self._record.sent(rejected, step) for step in steps):
            raise DemoError(f"somebody was told of {rejected}, which was rejected")
        if self._record.sent(DOWN, "update-1"):
            raise DemoError(f"{DOWN} sent its update although it was over")
        if not self._record.arms(late).get("control"):
            raise DemoError(f"nobody was held out of {late}")
