"""What is under way: promises that fall due, and messages that are leaving."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import Session, col

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.domain.plan import INITIAL, Plan
from tellfirst.store.controls import PAUSE_ALL
from tellfirst.store.opening import RECEIVED
from tellfirst.store.sending import read_sending, read_speeds
from tellfirst.store.statements import chunks, table
from tellfirst.store.tables import ControlRow, OutreachRow, RecipientRow, RevisionRow, SendRow
from tellfirst.store.tables_escalations import EscalationRow

GONE = (*RECEIVED, SendState.UNDELIVERED)
"""States of what has left us for a customer."""
UNSETTLED = (SendState.PLANNED, SendState.DEFERRED, SendState.INTENT)
PRESSING = {"promise_at_risk", "attention"}
"""Escalations that stand between an outreach and its next promise."""

Key = tuple[str, int]
"""An outreach and one of its revisions."""
Plans = dict[Key, Plan]
Counts = Mapping[Key, Mapping[str, Mapping[str, int]]]
"""Sends by step and state."""


class Promised(Frozen):
    """Is the next promised message of one revision; `risk` says why it may be missed, empty where nothing does."""

    outreach: str
    step: str
    due: datetime
    people: int
    risk: str


class Live(Frozen):
    """Is one outreach that is being sent: of its `people` so many were told, held out, set aside, wait or failed.

    `rate` is how many were answered in the last minute, `left` how long those that could leave now take at that pace.
    """

    outreach: str
    people: int
    told: int
    held: int
    deferred: int
    failed: int
    set_aside: int
    waiting: int
    rate: int
    left: timedelta | None
    stopped: bool


def read_plans(session: Session, now: datetime) -> Plans:
    """Returns the approved plans of running outreaches that may still say something, corrections left out."""
    query = (
        select(col(RevisionRow.outreach_id), col(RevisionRow.number), col(RevisionRow.plan))
        .join(OutreachRow, col(OutreachRow.id) == col(RevisionRow.outreach_id))
        .where(col(OutreachRow.closed_at).is_(None), col(RevisionRow.status) == "approved")
        .order_by(col(RevisionRow.outreach_id), col(RevisionRow.number))
    )
    plans = {(id_, number): Plan.model_validate(plan) for id_, number, plan in session.execute(query)}
    return {
        key: plan
        for key, plan in plans.items()
        if not plan.unplanned and any(step.not_after >= now for step in plan.steps)
    }


def read_counts(session: Session, outreaches: Sequence[str]) -> Counts:
    """Counts the sends of outreaches, from an index alone."""
    counts: dict[Key, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    send = table(SendRow)
    columns = (send.c.outreach_id, send.c.revision, send.c.step, send.c.state)
    for chunk in chunks(outreaches):
        query = select(*columns, func.count()).where(send.c.outreach_id.in_(chunk)).group_by(*columns)
        for outreach, revision, step, state, count in session.execute(query):
            counts[outreach, revision][step][state] = count
    return counts


def read_promises(session: Session, plans: Plans, counts: Counts, now: datetime) -> tuple[Promised, ...]:
    """Returns what was promised and not sent yet: first what is at risk, then by when it is due."""
    open_ = _running(session, {id_ for id_, _ in plans})
    names = set(session.scalars(select(col(ControlRow.name))))
    query = select(col(EscalationRow.about), col(EscalationRow.kind)).where(col(EscalationRow.ended_at).is_(None))
    pressed = {about for about, kind in session.execute(query) if kind in PRESSING}
    promises = []
    for key, plan in plans.items():
        row, by_step = open_[key[0]], counts.get(key, {})
        people = _sum(by_step.get(INITIAL, {}), RECEIVED)
        waiting = [step for step in plan.updates if step.not_after >= now and step.id not in by_step]
        if not people or not waiting or row.cleared_at is not None or (due := waiting[0].due) is None:
            continue
        halted = PAUSE_ALL in names or any(f"channel:{channel}" in names for channel in plan.channels)
        risks = {
            "late": due < now,
            "blocked": bool(row.blocked),
            "paused": row.paused or halted,
            "escalated": key[0] in pressed,
        }
        risk = next((word for word, holds in risks.items() if holds), "")
        promises.append(Promised(outreach=key[0], step=waiting[0].id, due=due, people=people, risk=risk))
    return tuple(sorted(promises, key=lambda one: (not one.risk, one.due, one.outreach)))


def read_live(
    session: Session, plans: Plans, counts: Counts, rates: Mapping[str, float], now: datetime
) -> tuple[Live, ...]:
    """Returns the outreaches that still have somebody to tell; `rates` hold where nobody has set another."""
    by_outreach: dict[str, list[Key]] = defaultdict(list)
    for key in plans:
        by_outreach[key[0]].append(key)
    open_ = _running(session, by_outreach)
    arms, aside = _drawn(session, list(by_outreach)), _set_aside(session, list(by_outreach))
    speeds = read_speeds(session, now)
    live = []
    for id_, keys in by_outreach.items():
        steps = [counts.get(key, {}) for key in keys]
        first = [by_step.get(INITIAL, {}) for by_step in steps]
        people = sum(plans[key].recipients for key in keys)
        over = all(plans[key].initial.not_after < now for key in keys)
        undrawn = 0 if over else max(0, people - sum(arms[id_].values()) - aside.get(id_, 0))
        waiting = undrawn + sum(_sum(by, (SendState.PLANNED, SendState.INTENT)) for by in first)
        deferred = sum(_sum(by, (SendState.DEFERRED,)) for by in first)
        later = sum(_sum(by, UNSETTLED) for by_step in steps for step, by in by_step.items() if step != INITIAL)
        if not waiting + deferred + later:
            continue
        speed = speeds.get(id_)
        sending = read_sending(session, id_, rates, now=now, speed=speed) if speed else None
        live.append(
            Live(
                outreach=id_,
                people=people,
                told=sum(_sum(by, GONE) for by in first),
                held=arms[id_].get("control", 0),
                deferred=deferred,
                failed=sum(_sum(by, (SendState.FAILED, SendState.UNKNOWN)) for by in first),
                set_aside=aside.get(id_, 0) + sum(_sum(by, (SendState.WITHHELD,)) for by in first),
                waiting=waiting,
                rate=speed.count if speed else 0,
                left=sending.left if sending else None,
                stopped=open_[id_].paused or bool(open_[id_].blocked),
            )
        )
    return tuple(live)


def _running(session: Session, outreaches: Iterable[str]) -> dict[str, OutreachRow]:
    found = {}
    for chunk in chunks(outreaches):
        found.update(
            {row.id: row for row in session.scalars(select(OutreachRow).where(col(OutreachRow.id).in_(chunk)))}
        )
    return found


def _drawn(session: Session, outreaches: Sequence[str]) -> dict[str, dict[str, int]]:
    row = table(RecipientRow)
    arms: dict[str, dict[str, int]] = defaultdict(dict)
    for chunk in chunks(outreaches):
        drawn = row.c.outreach_id.in_(chunk), row.c.arm.is_not(None)
        query = select(row.c.outreach_id, row.c.arm, func.count()).where(*drawn).group_by(row.c.outreach_id, row.c.arm)
        for outreach, arm, count in session.execute(query):
            arms[outreach][arm] = count
    return arms


def _set_aside(session: Session, outreaches: Sequence[str]) -> dict[str, int]:
    row = table(RecipientRow)
    found: dict[str, int] = {}
    for chunk in chunks(outreaches):
        aside = row.c.outreach_id.in_(chunk), row.c.arm.is_(None), row.c.withheld.is_not(None)
        query = select(row.c.outreach_id, func.count()).where(*aside).group_by(row.c.outreach_id)
        found.update(session.execute(query).all())
    return found


def _sum(by_state: Mapping[str, int], states: Iterable[str]) -> int:
    return sum(by_state.get(state, 0) for state in states)
