"""One outreach as the dashboard shows it: what was said, to how many, who approved, and what happened when."""

from collections import defaultdict
from datetime import datetime

from sqlalchemy import func, select
from sqlmodel import Session, col

from tellfirst.contract import continue_id
from tellfirst.domain.base import Frozen
from tellfirst.domain.plan import Plan
from tellfirst.domain.recipient import ELIGIBLE
from tellfirst.store.statements import table
from tellfirst.store.tables import (
    DecisionRow,
    OutcomeRow,
    OutreachRow,
    PlaybookVersionRow,
    RecipientRow,
    RevisionRow,
    SendRow,
)
from tellfirst.store.tables_escalations import EscalationRow, NoticeRow


class Signed(Frozen):
    """Is one decision that was received; `approver` is empty where nobody's signature stood under it."""

    decision: str
    approver: str
    accepted: bool
    code: str
    at: datetime


class RevisionView(Frozen):
    """Is one revision: its plan, the exact text of its playbook, how it stands, and who decided about it.

    `set_aside` counts, by reason, who was eligible when it was planned and is not told all the same.
    """

    number: int
    status: str
    plan: Plan
    playbook_text: str
    channels: dict[str, int]
    not_told: dict[str, int]
    set_aside: dict[str, int]
    sends: dict[str, dict[str, int]]
    decisions: tuple[Signed, ...]


class Happened(Frozen):
    """Is one point of the timeline: `what` is a code, `detail` a code or a role."""

    at: datetime
    what: str
    detail: str = ""


class Result(Frozen):
    """Is the latest recorded outcome; the figures are None where its grade withholds them."""

    grade: str
    sentence: str
    clusters: dict[str, int]
    difference: float | None
    ci_low: float | None
    ci_high: float | None


class OutreachPage(Frozen):
    """Is one outreach; its revisions come the latest first."""

    id: str
    trigger: str
    key: str
    episode: int
    paused: bool
    blocked: str
    closed: bool
    ending: str
    arms: dict[str, int]
    revisions: tuple[RevisionView, ...]
    timeline: tuple[Happened, ...]
    result: Result | None


def read_page(session: Session, outreach: str) -> OutreachPage | None:
    """Returns the page of one outreach, or None."""
    row = session.get(OutreachRow, outreach)
    if row is None:
        return None
    revisions = _revisions(session, outreach)
    recipient = table(RecipientRow)
    arms = (
        select(recipient.c.arm, func.count())
        .where(recipient.c.outreach_id == outreach, recipient.c.arm.is_not(None))
        .group_by(recipient.c.arm)
    )
    return OutreachPage(
        id=row.id,
        trigger=row.trigger,
        key=row.key,
        episode=row.episode,
        paused=row.paused,
        blocked=row.blocked or "",
        closed=row.closed_at is not None,
        ending=row.ending or "",
        arms=dict(session.execute(arms).all()),
        revisions=revisions,
        timeline=_timeline(session, row, revisions),
        result=_result(session, outreach),
    )


def _revisions(session: Session, outreach: str) -> tuple[RevisionView, ...]:
    recipient, send = table(RecipientRow), table(SendRow)
    of = recipient.c.outreach_id == outreach
    verdicts: dict[int, dict[str, int]] = defaultdict(dict)
    by_verdict = select(recipient.c.revision, recipient.c.verdict, func.count()).where(
        of, recipient.c.verdict != ELIGIBLE
    )
    for number, verdict, count in session.execute(by_verdict.group_by(recipient.c.revision, recipient.c.verdict)):
        verdicts[number][verdict] = count
    aside: dict[int, dict[str, int]] = defaultdict(dict)
    by_reason = select(recipient.c.revision, recipient.c.withheld, func.count()).where(
        of, recipient.c.withheld.is_not(None)
    )
    for number, reason, count in session.execute(by_reason.group_by(recipient.c.revision, recipient.c.withheld)):
        aside[number][reason] = count
    sends: dict[int, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    columns = (send.c.revision, send.c.step, send.c.state)
    by_state = select(*columns, func.count()).where(send.c.outreach_id == outreach).group_by(*columns)
    for number, step, state, count in session.execute(by_state):
        sends[number][step][state] = count
    query = (
        select(RevisionRow, col(PlaybookVersionRow.text))
        .join(PlaybookVersionRow, col(PlaybookVersionRow.version) == col(RevisionRow.playbook_version))
        .where(col(RevisionRow.outreach_id) == outreach, col(RevisionRow.plan).is_not(None))
        .order_by(col(RevisionRow.number).desc())
    )
    return tuple(
        RevisionView(
            number=row.number,
            status=row.status,
            plan=Plan.model_validate(row.plan),
            playbook_text=text,
            channels=(row.proposal or {}).get("channels", {}),
            not_told=verdicts[row.number],
            set_aside=aside[row.number],
            sends=sends[row.number],
            decisions=_decisions(session, outreach, row.number),
        )
        for row, text in session.execute(query)
    )


def _decisions(session: Session, outreach: str, revision: int) -> tuple[Signed, ...]:
    # Written down when nobody's key stood under it, a name may be anything.
    about = [outreach, continue_id(outreach, revision)]
    query = select(DecisionRow).where(
        col(DecisionRow.about).in_(about),
        (col(DecisionRow.revision) == revision) | (col(DecisionRow.about) == about[1]),
    )
    return tuple(
        Signed(
            decision={"approve": "continue"}.get(row.decision, row.decision) if row.about == about[1] else row.decision,
            approver=row.approver if row.fingerprint else "",
            accepted=row.accepted,
            code=row.code,
            at=row.received_at,
        )
        for row in session.scalars(query.order_by(col(DecisionRow.id)))
    )


def _timeline(session: Session, row: OutreachRow, revisions: tuple[RevisionView, ...]) -> tuple[Happened, ...]:
    points = [Happened(at=row.detected_at, what="detected"), Happened(at=row.started_at, what="started")]
    for one in revisions:
        points.append(Happened(at=one.plan.planned_at, what="planned", detail=str(one.number)))
        points += [
            Happened(at=said.at, what=said.decision if said.accepted else "refused", detail=said.approver)
            for said in one.decisions
        ]
        points += [
            Happened(at=at, what="left", detail=step)
            for step in one.sends
            if (at := _first(session, row.id, one.number, step))
        ]
        points += [
            Happened(at=step.due, what="promised", detail=step.id)
            for step in one.plan.updates
            if step.due and one.status == "approved" and step.id not in one.sends and row.closed_at is None
        ]
    for notice in session.scalars(select(NoticeRow).where(col(NoticeRow.outreach_id) == row.id)):
        points.append(Happened(at=notice.at, what=notice.kind, detail=notice.to))
    for escalation in session.scalars(select(EscalationRow).where(col(EscalationRow.about) == row.id)):
        if escalation.acknowledged_at:
            by = escalation.acknowledged_by
            points.append(Happened(at=escalation.acknowledged_at, what="acknowledged", detail=by))
    if row.cleared_at:
        points.append(Happened(at=row.cleared_at, what="cleared"))
    outcomes = select(col(OutcomeRow.version), func.min(col(OutcomeRow.recorded_at))).where(
        col(OutcomeRow.outreach_id) == row.id
    )
    for version, at in session.execute(outcomes.group_by(col(OutcomeRow.version))):
        points.append(Happened(at=at, what="measured", detail=str(version)))
    if row.closed_at:
        points.append(Happened(at=row.closed_at, what="closed", detail=row.ending or ""))
    return tuple(sorted(points, key=lambda point: point.at))


def _first(session: Session, outreach: str, revision: int, step: str) -> datetime | None:
    """Returns when a step began to leave: pages leave in their order, so its first one is looked at alone."""
    send = table(SendRow)
    of = (send.c.outreach_id == outreach, send.c.revision == revision, send.c.step == step)
    page = session.execute(select(func.min(send.c.page)).where(*of)).scalar()
    first: datetime | None = session.execute(
        select(func.min(send.c.intent_at)).where(*of, send.c.page == page)
    ).scalar()
    return first


def _result(session: Session, outreach: str) -> Result | None:
    latest = select(func.max(col(OutcomeRow.version))).where(col(OutcomeRow.outreach_id) == outreach).scalar_subquery()
    rows = session.scalars(
        select(OutcomeRow).where(col(OutcomeRow.outreach_id) == outreach, col(OutcomeRow.version) == latest)
    ).all()
    if not rows:
        return None
    return Result(
        grade=rows[0].grade,
        sentence=rows[0].sentence,
        clusters={row.arm: row.clusters for row in rows},
        difference=rows[0].difference,
        ci_low=rows[0].ci_low,
        ci_high=rows[0].ci_high,
    )
