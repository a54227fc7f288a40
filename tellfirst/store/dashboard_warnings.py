"""What opens a day: conditions that are open now, by trigger, and how those who were told answered."""

from collections import defaultdict
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlmodel import Session

from tellfirst.domain.base import Frozen
from tellfirst.domain.plan import INITIAL
from tellfirst.policy.replies import Kind
from tellfirst.store.replies import LEFT
from tellfirst.store.statements import chunks, table
from tellfirst.store.tables import AdmissionRow, ConditionRow, ConsentRow, OutreachRow, RevisionRow, SendRow
from tellfirst.store.tables_replies import ReplyRow

DAYS = 7
"""So many days a trend looks back, today among them."""


class Warned(Frozen):
    """Is one trigger with open conditions: whom they touch, since when, and how many were newly found each day."""

    trigger: str
    conditions: int
    affected: int
    since: datetime
    days: tuple[int, ...]
    outreaches: tuple[str, ...]


class Answered(Frozen):
    """Is how those whom an outreach told answered in the last days, counted by what their replies came to."""

    outreach: str
    version: str
    told: int
    opted_out: int
    angry: int
    why: int
    thanks: int
    other: int


def read_warnings(session: Session, now: datetime) -> tuple[Warned, ...]:
    """Returns the triggers of which conditions are open, those that touch most first."""
    condition, outreach, revision = table(ConditionRow), table(OutreachRow), table(RevisionRow)
    same = (
        (condition.c.trigger == outreach.c.trigger)
        & (condition.c.key == outreach.c.key)
        & (condition.c.episode == outreach.c.episode)
    )
    found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    swept = select(condition.c.trigger, condition.c.detected_at, outreach.c.id).join(outreach, same, isouter=True)
    for trigger, at, id_ in session.execute(swept.where(condition.c.cleared_at.is_(None))):
        found[trigger].append((at, id_ or ""))
    # Others come from services, which say themselves when they are over; until then their outreach runs.
    told = select(outreach.c.trigger, outreach.c.detected_at, outreach.c.id).where(
        outreach.c.cleared_at.is_(None), outreach.c.closed_at.is_(None), ~select(condition.c.id).where(same).exists()
    )
    from_services: dict[str, str] = {}
    for trigger, at, id_ in session.execute(told):
        found[trigger].append((at, id_))
        from_services[id_] = trigger
    admission = table(AdmissionRow)
    ledger = (
        select(admission.c.trigger, func.count())
        .where(admission.c.trigger.in_(list(found)), admission.c.closed_at.is_(None))
        .group_by(admission.c.trigger)
    )
    affected: dict[str, int] = defaultdict(int, session.execute(ledger).all())
    first = (now - timedelta(days=DAYS - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    planned = (
        select(outreach.c.id, outreach.c.trigger, revision.c.planned_at, revision.c.plan)
        .join(outreach, outreach.c.id == revision.c.outreach_id)
        .where(
            or_(revision.c.planned_at >= first, outreach.c.id.in_(list(from_services))),
            revision.c.status.not_in(["planning", "replaced"]),
            outreach.c.trigger.in_(list(found)),
        )
    )
    days: dict[str, list[int]] = defaultdict(lambda: [0] * DAYS)
    for id_, trigger, at, plan in session.execute(planned):
        if not plan or any(step["id"] != INITIAL for step in plan["steps"][:1]):
            continue  # a correction goes to whom an earlier revision counted
        size = plan["recipients"] + plan["not_told"]
        if at >= first:
            days[trigger][min((at - first).days, DAYS - 1)] += size
        if id_ in from_services:
            affected[trigger] += size
    return tuple(
        Warned(
            trigger=trigger,
            conditions=len(rows),
            affected=affected[trigger],
            since=min(at for at, _ in rows),
            days=tuple(days[trigger]),
            outreaches=tuple(id_ for _, id_ in sorted(rows, reverse=True) if id_)[:3],
        )
        for trigger, rows in sorted(found.items(), key=lambda item: (-affected[item[0]], item[0]))
    )


def read_answers(session: Session, now: datetime) -> tuple[Answered, ...]:
    """Returns the outreaches that were answered in the last days, the worst first."""
    reply, send, said, revision = table(ReplyRow), table(SendRow), table(ConsentRow), table(RevisionRow)
    since = now - timedelta(days=DAYS)
    query = (
        select(reply.c.outreach_id, reply.c.kind, reply.c.tone, func.count())
        .where(reply.c.received_at > since, reply.c.outreach_id.is_not(None))
        .group_by(reply.c.outreach_id, reply.c.kind, reply.c.tone)
    )
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for id_, kind, tone, count in session.execute(query):
        if kind not in (Kind.OPT_OUT, Kind.AUTOMATIC):
            found[id_][tone if tone in ("angry", "why", "thanks") else "other"] += count
    # By whatever way they opted out: it counts for each outreach that had told them shortly before.
    left = (
        select(send.c.outreach_id, func.count(said.c.customer_id.distinct()))
        .join(send, send.c.customer_id == said.c.customer_id)
        .where(
            said.c.at > since,
            said.c.allowed.is_(False),
            send.c.state.in_(LEFT),
            send.c.intent_at.between(since - timedelta(days=DAYS), said.c.at),
        )
        .group_by(send.c.outreach_id)
    )
    for id_, count in session.execute(left):
        found[id_]["opted_out"] = count
    told: dict[str, int] = {}
    versions: dict[str, str] = {}
    for chunk in chunks(found):
        reached = (
            select(send.c.outreach_id, func.count())
            .where(send.c.outreach_id.in_(chunk), send.c.step == INITIAL, send.c.state.in_(LEFT))
            .group_by(send.c.outreach_id)
        )
        told.update(session.execute(reached).all())
        planned = select(revision.c.outreach_id, revision.c.playbook_version).where(revision.c.outreach_id.in_(chunk))
        versions.update(session.execute(planned.order_by(revision.c.number)).all())
    words = ("opted_out", "angry", "why", "thanks", "other")
    answers = [
        Answered(
            outreach=id_, version=versions.get(id_, ""), told=told.get(id_, 0), **{word: by[word] for word in words}
        )
        for id_, by in found.items()
    ]
    return tuple(sorted(answers, key=lambda one: (-(one.opted_out + one.angry), one.outreach)))
