"""One morning of an installation for the tests of the dashboard: something in every section, and canaries to find."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlmodel import SQLModel

from tellfirst.domain.figures import ArmFigures, Sums
from tellfirst.domain.message import SendState
from tellfirst.domain.outcome import ArmOutcome, Outcome
from tellfirst.domain.plan import PageRange, Plan
from tellfirst.playbooks.loader import LIBRARY, parse
from tellfirst.playbooks.promises import planned_steps
from tellfirst.signing.kinds import Proposal
from tellfirst.store.engine import Database
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.statements import table
from tellfirst.store.tables import (
    AdmissionRow,
    ConditionRow,
    ConsentRow,
    ContactPointRow,
    ControlRow,
    CustomerRow,
    DecisionRow,
    MatterRow,
    OutreachRow,
    PageRow,
    PlaybookVersionRow,
    RecipientRow,
    RevisionRow,
    SendRow,
)
from tellfirst.store.tables_escalations import EscalationRow, NoticeRow
from tellfirst.store.tables_exceptions import ExceptionRow
from tellfirst.store.tables_replies import ReplyRow

NOON = datetime(2026, 3, 9, 9, 30, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CANARIES = (
    "Marguerite",
    "+14155550199",
    "canary@example.org",
    "my knee hurts",
    "o-secret-77",
    "because her son is ill",
)
"""What nobody may read on a page: a name, addresses, a reply, a subject's key, what an approver wrote."""
LATE, DOWN, PAID, OLD = (
    f"outreach/{name}/1"
    for name in (
        "late_delivery/2026-03-09T07-00-00",
        "service_disruption/inc-2041",
        "payment_failed/2026-03-09T08-00-00",
        "late_delivery/2026-02-20T07-00-00",
    )
)
PLAYBOOKS = {
    name.rpartition("/")[2]: parse((LIBRARY / f"{name}.toml").read_text(), name)
    for name in ("retail/late_delivery", "cloud/service_disruption", "subscription/payment_failed")
}


class Morning:
    """Puts rows in, table by table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, row: type[SQLModel], *values: dict[str, Any]) -> None:
        """Inserts rows; columns that some of them leave out keep their defaults."""
        with self._database.write() as session:
            for one in values:
                session.execute(insert(table(row)), [row(**one).model_dump(exclude={"id"} - set(one))])

    def outreach(
        self, outreach: str, *, status: str = "approved", at: datetime, people: int, pages: int = 1, **more: Any
    ) -> Plan:
        """Puts in an outreach with one revision."""
        _, trigger, key, _ = outreach.split("/")
        loaded = PLAYBOOKS[trigger]
        playbook = loaded.playbook
        version = loaded.version
        plan = Plan(
            revision=1, playbook=trigger, playbook_version=version, reason_code=playbook.reason_code,
            owner=playbook.owners.owner, approvers=playbook.owners.approvers, planned_at=at, recipients=people,
            not_told=12, pages=(PageRange(channel="sms", first=0, count=pages),), root="r", remind_at=at + HOUR,
            escalate_at=at + 2 * HOUR, decide_by=at + 24 * HOUR, valid_until=at + 48 * HOUR,
            steps=planned_steps(playbook, at), window=timedelta(days=7), watermark_timeout=timedelta(days=3),
            reconcile_after=MINUTE,
        )  # fmt: skip
        proposal = Proposal(
            environment="test", outreach=outreach, revision=1, playbook=trigger, playbook_version=version, steps={},
            audience_root="r", audience_count=people, channels={"sms": people}, purpose="service", promises={},
            decide_by=plan.decide_by.replace(microsecond=0), valid_until=plan.valid_until, nonce=f"n-{key}",
        )  # fmt: skip
        with self._database.write() as session:
            if session.get(PlaybookVersionRow, version) is None:
                session.add(PlaybookVersionRow(version=version, playbook=trigger, text=loaded.text, seen_at=at))
        base = {"trigger": trigger, "key": key, "episode": 1, "first_run": "r", "started_at": at, "detected_at": at}
        self.put(OutreachRow, {"id": outreach, **base, "facts": {}, **more})
        self.put(
            RevisionRow,
            {
                "outreach_id": outreach, "number": 1, "playbook_version": version, "planned_at": at, "status": status,
                "plan": plan.model_dump(mode="json"), "proposal": proposal.model_dump(mode="json"),
            },
        )  # fmt: skip
        return plan

    def page(self, outreach: str, number: int, rows: int, *, channel: str = "sms", revision: int = 1) -> None:
        """Puts in a frozen page."""
        whose = {"outreach_id": outreach, "revision": revision, "number": number}
        self.put(PageRow, {**whose, "channel": channel, "rows": rows, "digest": "d"})

    def people(self, outreach: str, arms: dict[str | None, int], states: dict[str, int], *, at: datetime) -> None:
        """Puts in recipients by arm, and for the treated the state of their first message in turn."""
        left = [state for state, count in states.items() for _ in range(count)]
        with self._database.write() as session:
            place = 0
            for arm, count in arms.items():
                for _ in range(count):
                    customer = f"c-{outreach.split('/')[1]}-{place}"
                    session.add(CustomerRow(id=customer, first_name=CANARIES[0], cluster=customer, created_at=at))
                    session.flush()
                    session.add(ContactPointRow(customer_id=customer, channel="sms", address=CANARIES[1]))
                    session.add(ContactPointRow(customer_id=customer, channel="email", address=CANARIES[2]))
                    recipient = RecipientRow(
                        outreach_id=outreach, revision=1, position=place, page=0, customer_id=customer,
                        subject_key=f"{CANARIES[4]}-{place}", channel="sms", locale="en", cluster=customer,
                        facts={"order_id": CANARIES[4], "first_name": CANARIES[0]}, verdict="eligible", arm=arm, t0=at,
                    )  # fmt: skip
                    session.add(recipient)
                    session.flush()
                    assert recipient.id is not None
                    if arm == "treated" and left:
                        session.add(
                            SendRow(
                                id=f"s-{customer}", outreach_id=outreach, revision=1, recipient_id=recipient.id,
                                customer_id=customer, step="initial", channel="sms", page=0, state=left.pop(0),
                                intent_at=at, settled_at=at,
                            )
                        )  # fmt: skip
                    place += 1


def put_morning(database: Database, now: datetime = NOON) -> None:
    """Puts in a morning with something in every section."""
    morning = Morning(database)
    early = now - 2 * HOUR
    morning.outreach(LATE, at=early, people=60)
    morning.page(LATE, 0, 60)
    states: dict[str, int] = {
        SendState.DELIVERED: 20,
        SendState.ACCEPTED: 8,
        SendState.DEFERRED: 4,
        SendState.FAILED: 2,
    }
    arms = {"treated": 40, "control": 6, None: 14}
    morning.people(
        LATE, arms, {**states, SendState.UNKNOWN: 3, SendState.PLANNED: 3}, at=now - 30 * timedelta(seconds=1)
    )
    morning.outreach(DOWN, at=now - HOUR / 2, people=8, paused=True)
    morning.people(DOWN, {"treated": 8}, {SendState.ACCEPTED: 8}, at=now - HOUR / 3)
    morning.outreach(PAID, at=now - HOUR, people=1_204, status="pending")
    morning.outreach(
        OLD, at=now - timedelta(days=17), people=40, closed_at=now - timedelta(days=6), ending="measured",
        cleared_at=now - timedelta(days=8),
    )  # fmt: skip
    _conditions(morning, now)
    _people_and_promises(morning, now)
    _answers(morning, now)
    _outcomes(database, now)


def _conditions(morning: Morning, now: datetime) -> None:
    for outreach, count in ((LATE, 72), (PAID, 1_216)):
        _, trigger, key, _ = outreach.split("/")
        same = {"trigger": trigger, "facts": {}, "episode": 1}
        morning.put(ConditionRow, {**same, "key": key, "detected_at": now - 2 * HOUR, "parameters": {}})
        rows = (
            {
                **same, "subject_key": f"{CANARIES[4]}-{n}", "condition_key": key, "condition_episode": 1,
                "customer_ref": f"c-{n}", "since": now - 3 * HOUR, "admitted_at": now - 2 * HOUR,
            }
            for n in range(min(count, 80))
        )  # fmt: skip
        morning.put(AdmissionRow, *rows)
    for days, people in ((1, 31), (2, 44), (3, 12), (5, 9), (6, 17)):
        at = now - timedelta(days=days)
        name = f"outreach/late_delivery/{at:%Y-%m-%d}T07-00-00/1"
        morning.outreach(name, at=at, people=people, status="rejected", closed_at=at + HOUR, ending="rejected")


def _people_and_promises(morning: Morning, now: datetime) -> None:
    decision = {"revision": 1, "fingerprint": "SHA256:x", "envelope": {"document": {"reason": CANARIES[5]}}}
    for outreach in (LATE, DOWN, OLD):
        said = {"about": outreach, "decision": "approve", "approver": "ana", "accepted": True}
        morning.put(DecisionRow, {**decision, **said, "received_at": now - HOUR})
    forged = {"about": LATE, "decision": "approve", "approver": CANARIES[0], "accepted": False, "fingerprint": ""}
    morning.put(DecisionRow, {**decision, **forged, "code": "unknown_key", "received_at": now - HOUR})
    morning.put(
        MatterRow,
        {
            "about": "library/late_delivery/v2", "kind": "library", "opened_at": now - 5 * HOUR,
            "proposal": {"decide_by": (now + 40 * HOUR).isoformat(), "data_changed": True},
        },
    )  # fmt: skip
    morning.put(
        ExceptionRow,
        {
            "id": "x-1", "first_run": "r", "outreach_id": LATE, "revision": 1, "customer_id": "c-late_delivery-1",
            "kind": "goodwill_credit", "amount_minor": 1_000, "currency": "EUR", "requester": "kim",
            "status": "pending",
            "opened_at": now - HOUR / 2, "decide_by": now + 3 * HOUR,
        },
    )  # fmt: skip
    ladder = {"text": CANARIES[5], "level": 1, "levels": 3, "waiting_on": "Incident lead"}
    morning.put(
        EscalationRow,
        {"id": "e-1", "about": DOWN, "kind": "promise_at_risk", **ladder, "opened_at": now - HOUR / 4},
        {
            "id": "e-2", "about": PAID, "kind": "overdue", **ladder, "opened_at": now - HOUR / 6,
            "acknowledged_by": "ben", "acknowledged_at": now - HOUR / 12,
        },
    )  # fmt: skip
    morning.put(
        NoticeRow,
        {
            "id": "n-1", "outreach_id": LATE, "kind": "reminder", "to": "Service lead", "text": CANARIES[5],
            "at": now - HOUR, "level": 0,
        },
    )  # fmt: skip
    morning.put(ControlRow, {"name": "channel:whatsapp", "value": "configuration", "by": "worker", "at": now - HOUR})


def _answers(morning: Morning, now: datetime) -> None:
    for n, tone in enumerate(("angry", "angry", "why", "thanks", "thanks", "neutral")):
        reply = {"outreach_id": LATE, "customer_id": f"c-late_delivery-{n}", "channel": "sms", "text": CANARIES[3]}
        morning.put(
            ReplyRow,
            {"id": f"r-{n}", **reply, "kind": "reply", "tone": tone, "received_at": now - 10 * timedelta(seconds=1)},
        )
    said = {
        "customer_id": "c-late_delivery-7",
        "channel": "*",
        "purpose": "*",
        "allowed": False,
        "source": "unsubscribe",
    }
    morning.put(ConsentRow, {**said, "at": now - 10 * timedelta(seconds=1)})


def _outcomes(database: Database, now: datetime) -> None:
    counts = {"treated": (1_804, 131), "control": (201, 24)}
    figures = [
        ArmFigures(
            arm=arm, share=0.1, clusters=n, contacted=x, anyhow=x + 9, elsewhere=9,
            contacts=Sums(n=n, y=x, yy=x), all_contacts=Sums(n=n, y=x + 9, yy=x + 9),
        )
        for arm, (n, x) in counts.items()
    ]  # fmt: skip
    arms = tuple(ArmOutcome(arm=arm, clusters=n, contacted=x, rate=x / n) for arm, (n, x) in counts.items())
    outcome = Outcome(
        reason_code="where_is_my_order", arms=arms, difference=-0.0468, ci_low=-0.1005, ci_high=-0.0085, grade="A",
        sentence="Of those told first fewer contacted support.",
    )  # fmt: skip
    t0 = now - timedelta(days=17)
    Outcomes(database).record(OLD, outcome, at=now - timedelta(days=6), figures=figures, t0=(t0, t0))
