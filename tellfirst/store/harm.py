"""Harm: what an outreach did so far to accounts and to its team, and what crossed a limit of its playbook."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Subquery, func, literal, or_, select
from sqlmodel import Session, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.feed import HarmSeen
from tellfirst.measurement.harm import ArmSoFar, Rule, SoFar, Standing, standings
from tellfirst.playbooks.harm import Harm as Limits
from tellfirst.policy.replies import Kind
from tellfirst.signing.trail import Entry
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.replies import LEFT
from tellfirst.store.statements import alone, table
from tellfirst.store.tables import ConsentRow, ContactRow, OutreachRow, RecipientRow, SendRow, WatermarkRow
from tellfirst.store.tables_audit import AuditRow
from tellfirst.store.tables_contacts import MergeRow
from tellfirst.store.tables_escalations import EscalationRow
from tellfirst.store.tables_exceptions import ExceptionRow
from tellfirst.store.tables_harm import HarmEventRow
from tellfirst.store.tables_replies import ReplyRow
from tellfirst.store.telling import tell

WATCH = "harm watch"
"""The name under which it pauses."""
BAD = ("angry", "why")
"""Tones of replies that speak against the message."""
WORKED = (Kind.REPLY, Kind.DOUBTFUL)
"""Kinds of replies that somebody has to answer."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class HarmEvent(Frozen):
    """Is one crossing of a rule; `accepted` is the figure when a person had let it go on, None while nobody has."""

    outreach: str
    rule: Rule
    number: int
    figure: float
    bound: float
    limit: float
    words: str
    at: datetime
    accepted: float | None = None
    accepted_at: datetime | None = None


class Harm:
    """Counts what outreaches do so far, and keeps what crossed their limits."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def watched(self) -> list[str]:
        """Returns the open outreaches that have sent something, by name."""
        outreach, send = table(OutreachRow), table(SendRow)
        sent = select(send.c.id).where(send.c.outreach_id == outreach.c.id, send.c.state.in_(LEFT)).exists()
        query = select(outreach.c.id).where(outreach.c.closed_at.is_(None), sent).order_by(outreach.c.id)
        with self._database.read() as session:
            return list(session.execute(query).scalars())

    def so_far(self, outreach: str, *, now: datetime) -> SoFar:
        """Counts what an outreach did up to `now`.

        Contacts are compared over rows of both arms by their t0, as far as every source's watermark has come: replies
        are here at once, and counted beyond that they would show an effect that is only a delay.
        """
        told = _told(outreach)
        with self._database.read() as session:
            first, accounts = session.execute(select(func.min(told.c.at), func.count(told.c.cluster.distinct()))).one()
            if first is None:
                return SoFar()
            days = max(now - first, timedelta(0)) // DAY
            begun = first + days * DAY
            arms = self._contacted(session, outreach)
            return SoFar(
                told=accounts,
                opted_out=session.execute(_opted_out(told)).scalar_one(),
                negative=session.execute(_negative(told, outreach)).scalar_one(),
                treated=arms.get("treated", ArmSoFar()),
                control=arms.get("control", ArmSoFar()),
                load=_load(session, outreach, begun, now),
                hours=max(now - begun, HOUR) / HOUR,  # a dozen in the first minute are no load
                day=days + 1,
            )

    def standings(self, outreach: str, limits: Limits, *, now: datetime) -> tuple[Standing, ...]:
        """Returns how an outreach stands by every rule, with what people let it go on with."""
        accepted: dict[Rule, float] = {e.rule: e.accepted for e in self.events(outreach) if e.accepted is not None}
        return standings(self.so_far(outreach, now=now), limits, accepted)

    def events(self, outreach: str) -> list[HarmEvent]:
        """Returns every crossing of an outreach in the order they happened."""
        event = table(HarmEventRow)
        query = select(event).where(event.c.outreach_id == outreach).order_by(event.c.at, event.c.rule, event.c.number)
        with self._database.read() as session:
            return [_event(row) for row in session.execute(query).mappings()]

    def let_go_on(self, outreach: str) -> bool:
        """Returns whether a person let an outreach go on after what was crossed last, as the audit log has it."""
        said = table(AuditRow)
        latest = select(said.c.kind).where(said.c.about == outreach, said.c.kind.in_(("harm", "resume")))
        with self._database.read() as session:
            return session.execute(latest.order_by(said.c.sequence.desc()).limit(1)).scalar() == "resume"

    def record(self, outreach: str, standing: Standing, *, at: datetime) -> HarmEvent:
        """Keeps that a rule was crossed, in the audit log too, and tells other systems; returns the crossing.

        While one waits for a person it stays the one.
        """
        event = table(HarmEventRow)
        known = select(event).where(event.c.outreach_id == outreach, event.c.rule == standing.rule)
        with self._database.write() as session:
            alone(session, f"harm of {outreach}")
            before = [_event(row) for row in session.execute(known.order_by(event.c.number)).mappings()]
            if before and before[-1].accepted is None:
                return before[-1]
            given = standing.model_dump(include={"rule", "figure", "bound", "limit", "words"})
            made = HarmEvent(**given, outreach=outreach, number=len(before) + 1, at=at)
            session.add(HarmEventRow(**made.model_dump(exclude={"outreach"}), outreach_id=outreach))
            tell(session, HarmSeen.model_validate(made.model_dump()), at=at)
            facts = {name: f"{getattr(made, name):.6g}" for name in ("figure", "bound", "limit")}
            entry = Entry(kind="harm", about=outreach, actor=WATCH, at=at, facts={"rule": made.rule, **facts})
            self._chain.append(entry, session)
            return made

    def accept(self, outreach: str, figures: Mapping[Rule, float], *, at: datetime) -> None:
        """Keeps with what figure of each rule a person let an outreach go on that a crossing had paused."""
        event = table(HarmEventRow)
        with self._database.write() as session:
            for rule, figure in figures.items():
                waits = (event.c.outreach_id == outreach, event.c.rule == rule, event.c.accepted.is_(None))
                session.execute(update(event).where(*waits).values(accepted=figure, accepted_at=at))

    @staticmethod
    def _contacted(session: Session, outreach: str) -> dict[str, ArmSoFar]:
        until = session.execute(select(func.min(WatermarkRow.at))).scalar()
        if until is None:
            return {}
        row, contact, merge = table(RecipientRow), table(ContactRow), table(MergeRow)
        account = func.coalesce(merge.c.into, row.c.cluster).label("account")
        units = (
            select(row.c.arm, account, func.min(row.c.t0).label("t0"), func.max(row.c.window_end).label("end"))
            .join(merge, merge.c.old == row.c.cluster, isouter=True)
            .where(row.c.outreach_id == outreach, row.c.arm.is_not(None), row.c.t0 < until)
            .group_by(row.c.arm, account)
            .subquery()
        )
        made_contact = (
            select(literal(1))
            .where(
                contact.c.cluster == units.c.account,
                contact.c.occurred_at >= units.c.t0,
                contact.c.occurred_at < units.c.end,
                contact.c.occurred_at < until,
            )
            .exists()
        )
        query = select(units.c.arm, func.count(), func.count().filter(made_contact)).group_by(units.c.arm)
        return {arm: ArmSoFar(accounts=n, contacted=x) for arm, n, x in session.execute(query)}


def _told(outreach: str) -> Subquery:
    """Returns the customers whom a message of an outreach left to, their cluster, and when the first one did."""
    send, row = table(SendRow), table(RecipientRow)
    return (
        select(send.c.customer_id, row.c.cluster, func.min(send.c.intent_at).label("at"))
        .join(row, row.c.id == send.c.recipient_id)
        .where(send.c.outreach_id == outreach, send.c.state.in_(LEFT), send.c.intent_at.is_not(None))
        .group_by(send.c.customer_id, row.c.cluster)
        .subquery()
    )


def _opted_out(told: Subquery) -> Select[int]:
    # From the few who refused to the many who were told: looked up for each of these it takes minutes.
    said = table(ConsentRow)
    last = select(said.c.customer_id, func.max(said.c.at).label("at")).where(said.c.allowed.is_(False))
    refused = last.group_by(said.c.customer_id).subquery()
    since = (refused.c.customer_id == told.c.customer_id) & (refused.c.at >= told.c.at)
    return select(func.count(told.c.cluster.distinct())).select_from(refused).join(told, since)


def _negative(told: Subquery, outreach: str) -> Select[int]:
    reply = table(ReplyRow)
    wrote = select(reply.c.customer_id).where(reply.c.outreach_id == outreach, reply.c.tone.in_(BAD))
    bad = wrote.distinct().subquery()
    by_told = bad.c.customer_id == told.c.customer_id
    return select(func.count(told.c.cluster.distinct())).select_from(bad).join(told, by_told)


def _load(session: Session, outreach: str, begun: datetime, now: datetime) -> int:
    reply, asked, raised = table(ReplyRow), table(ExceptionRow), table(EscalationRow)
    about = or_(
        raised.c.about == outreach,
        raised.c.about.in_(select(literal("exception/") + asked.c.id).where(asked.c.outreach_id == outreach)),
    )
    counts = (
        select(func.count()).where(
            reply.c.outreach_id == outreach, reply.c.kind.in_(WORKED), _between(reply.c.received_at, begun, now)
        ),
        select(func.count()).where(asked.c.outreach_id == outreach, _between(asked.c.opened_at, begun, now)),
        # Its own word makes no work that was not there.
        select(func.count()).where(about, raised.c.kind != "harm", _between(raised.c.opened_at, begun, now)),
    )
    return sum(cast(int, session.execute(count).scalar_one()) for count in counts)


def _between(at: ColumnElement[datetime], begun: datetime, now: datetime) -> ColumnElement[bool]:
    return (at >= begun) & (at <= now)


def _event(row: Mapping[Any, Any]) -> HarmEvent:
    return HarmEvent.model_validate({**row, "outreach": row["outreach_id"]})
