"""What waits: decisions and escalations for people, and what does not move at all."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.signing.rules import LIBRARY_APPROVER, PRIVACY_OWNER, RESUMERS
from tellfirst.store.exceptions import PENDING as ASKED
from tellfirst.store.matters import PENDING
from tellfirst.store.statements import table
from tellfirst.store.tables import DecisionRow, MatterRow, OutreachRow, RevisionRow, SendRow
from tellfirst.store.tables_escalations import EscalationRow
from tellfirst.store.tables_exceptions import ExceptionRow
from tellfirst.store.tables_harm import HarmEventRow

PLANNED_WITHIN, MOVED_WITHIN = timedelta(minutes=15), timedelta(minutes=5)
"""Planning takes seconds, for a large audience minutes; and a deadline acts within seconds where a worker lives."""


class Wait(Frozen):
    """Is one thing that waits for people: `about` names it, `outreach` its outreach where it has one.

    `who` are those who decide or were told last; of the `needed` approvals `signed` are there. `taken_by` is on it.
    """

    kind: str
    about: str
    outreach: str = ""
    who: tuple[str, ...] = ()
    since: datetime
    deadline: datetime | None = None
    needed: int = 0
    signed: int = 0
    taken_by: str = ""
    overdue: bool = False


class Snag(Frozen):
    """Is one thing that does not move: `what` is a code, `detail` a provider's, `count` is of messages."""

    outreach: str
    what: str
    detail: str = ""
    count: int = 0
    since: datetime | None = None


def read_waits(session: Session) -> tuple[Wait, ...]:
    """Returns what waits for people: what is overdue or escalated first, then by its deadline."""
    escalations = list(session.scalars(select(EscalationRow).where(col(EscalationRow.ended_at).is_(None))))
    overdue = {row.about: row for row in escalations if row.kind == "overdue"}
    waits = [_with(one, overdue.pop(one.about, None)) for one in (*_revisions(session), *_matters(session))]
    waits += [_with(one, overdue.pop(one.about, None)) for one in _exceptions(session)]
    waits += [
        Wait(
            kind=row.kind,
            about=row.about,
            outreach=_outreach(row.about),
            who=(row.waiting_on,),
            since=row.opened_at,
            taken_by=row.acknowledged_by,
            overdue=True,
        )
        for row in escalations
        if row.kind != "overdue" or row.about in overdue
    ]
    return tuple(sorted(waits, key=lambda one: (not one.overdue, one.deadline or one.since, one.about)))


def _with(one: Wait, row: EscalationRow | None) -> Wait:
    if row is None:
        return one
    # The first level of the ladder are those who decide, who are named already.
    who = (row.waiting_on,) if row.level > 1 else one.who
    return one.model_copy(update={"overdue": True, "who": who, "taken_by": row.acknowledged_by})


def _revisions(session: Session) -> Iterator[Wait]:
    revision, decision = table(RevisionRow), table(DecisionRow)
    signed = (
        select(func.count())
        .where(
            decision.c.about == revision.c.outreach_id,
            decision.c.revision == revision.c.number,
            decision.c.accepted,
            decision.c.decision == "approve",
        )
        .scalar_subquery()
    )
    query = (
        select(revision.c.outreach_id, revision.c.plan, signed)
        .join(table(OutreachRow), table(OutreachRow).c.id == revision.c.outreach_id)
        .where(revision.c.status == PENDING, table(OutreachRow).c.closed_at.is_(None))
    )
    for outreach, plan, count in session.execute(query):
        yield Wait(
            kind="outreach",
            about=outreach,
            outreach=outreach,
            who=tuple(plan["approvers"]),
            since=_instant(plan["planned_at"]),
            deadline=_instant(plan["decide_by"]),
            needed=plan["needed"],
            signed=count,
        )


def _matters(session: Session) -> Iterator[Wait]:
    pending = col(MatterRow.status) == PENDING
    approved = col(DecisionRow.accepted), col(DecisionRow.decision) == "approve"
    counted = (
        select(col(DecisionRow.about), func.count())
        .join(MatterRow, col(MatterRow.about) == col(DecisionRow.about))
        .where(*approved, pending)
        .group_by(col(DecisionRow.about))
    )
    signed = dict(session.execute(counted).all())
    for row in session.scalars(select(MatterRow).where(pending, col(MatterRow.kind) != "exception")):
        who: tuple[str, ...] = ()
        outreach = str(row.proposal.get("outreach", ""))
        if row.kind == "library":
            who = (LIBRARY_APPROVER, PRIVACY_OWNER) if row.proposal.get("data_changed") else (LIBRARY_APPROVER,)
        elif row.kind == "resume":
            who = RESUMERS
        elif row.kind == "continue":
            known = session.get(OutreachRow, outreach)
            revision = session.get(RevisionRow, (outreach, row.proposal["revision"]))
            if known is None or known.closed_at is not None or revision is None:
                continue
            who = tuple((revision.plan or {}).get("approvers", ()))
        yield Wait(
            kind=row.kind,
            about=row.about,
            outreach=outreach,
            who=who,
            since=row.opened_at,
            deadline=_instant(row.proposal["decide_by"]),
            signed=signed.get(row.about, 0),
            needed=2 if row.kind == "resume" else max(1, len(who)) if row.kind == "library" else 1,
        )


def _exceptions(session: Session) -> Iterator[Wait]:
    # A customer's request: its kind and its own name say enough here.
    for row in session.scalars(select(ExceptionRow).where(col(ExceptionRow.status) == ASKED)):
        yield Wait(
            kind="exception",
            about=f"exception/{row.id}",
            outreach=row.outreach_id,
            since=row.opened_at,
            deadline=row.decide_by,
            needed=1,
        )


def read_snags(session: Session, now: datetime) -> tuple[Snag, ...]:
    """Returns what does not move as the database tells it; a failing task is seen in Temporal alone."""
    send, revision, outreach, harm = (table(row) for row in (SendRow, RevisionRow, OutreachRow, HarmEventRow))
    running = outreach.c.closed_at.is_(None)
    held = running & (outreach.c.paused | outreach.c.blocked.is_not(None))
    snags = [
        Snag(outreach=id_, what="blocked" if blocked else "paused", detail=blocked or "")
        for id_, blocked in session.execute(select(outreach.c.id, outreach.c.blocked).where(held))
    ]
    # Grouped by the column itself, SQLite goes through the whole effect log in its order.
    named = func.coalesce(send.c.outreach_id, "")
    doubts: Any = select(named, func.count(), func.min(send.c.intent_at)).group_by(named)
    for what, where in (
        ("unknown", send.c.state == SendState.UNKNOWN),
        ("in_doubt", (send.c.state == SendState.INTENT) & (send.c.intent_at < now - MOVED_WITHIN)),
    ):
        snags += [
            Snag(outreach=id_, what=what, count=count, since=since)
            for id_, count, since in session.execute(doubts.where(where))
        ]
    crossed = select(harm.c.outreach_id, harm.c.rule, harm.c.at).join(outreach, outreach.c.id == harm.c.outreach_id)
    snags += [
        Snag(outreach=id_, what="harm", detail=rule, since=since)
        for id_, rule, since in session.execute(crossed.where(running, harm.c.accepted.is_(None)))
    ]
    planned = select(revision.c.number).where(revision.c.outreach_id == outreach.c.id, revision.c.plan.is_not(None))
    late = select(outreach.c.id, outreach.c.started_at).where(running, outreach.c.started_at < now - PLANNED_WITHIN)
    snags += [
        Snag(outreach=id_, what="not_planned", since=since)
        for id_, since in session.execute(late.where(~planned.exists()))
    ]
    snags += [
        Snag(outreach=one.outreach, what="deadline_passed", since=one.deadline)
        for one in _revisions(session)
        if one.deadline is not None and one.deadline < now - MOVED_WITHIN
    ]
    return tuple(snags)


def _outreach(about: str) -> str:
    return about if about.startswith("outreach/") else ""


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
