"""Recorded outcomes: a correction is a new version, never an edit."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.sql.expression import Select

from tellfirst.domain.base import Frozen
from tellfirst.domain.feed import OutcomeRecorded
from tellfirst.domain.figures import ArmFigures, OutcomeRecord
from tellfirst.domain.outcome import Outcome
from tellfirst.store.engine import Database
from tellfirst.store.tables import OutcomeRow, OutreachRow
from tellfirst.store.telling import tell


class ReportLine(Frozen):
    """Is one arm of one outreach as the report shows it."""

    outreach: str
    trigger: str
    arm: str
    reason_code: str
    clusters: int
    contacted: int
    rate: float | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    grade: str
    sentence: str
    recorded_at: datetime


class Outcomes:
    """Records outcomes and reads them for the report."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(
        self,
        outreach: str,
        outcome: Outcome,
        *,
        at: datetime,
        figures: Sequence[ArmFigures] = (),
        t0: tuple[datetime, datetime] | None = None,
    ) -> None:
        """Records an outcome as the next version; the same figures again add nothing.

        `t0` is when the first and the last of those counted were drawn.
        """
        first_t0, last_t0 = t0 or (None, None)
        with self._database.write() as session:
            latest = session.exec(select(func.max(OutcomeRow.version)).where(OutcomeRow.outreach_id == outreach)).one()
            rows = [
                OutcomeRow(
                    outreach_id=outreach,
                    version=(latest or 0) + 1,
                    arm=arm.arm,
                    reason_code=outcome.reason_code,
                    clusters=arm.clusters,
                    contacted=arm.contacted,
                    rate=arm.rate,
                    difference=outcome.difference,
                    ci_low=outcome.ci_low,
                    ci_high=outcome.ci_high,
                    grade=outcome.grade,
                    sentence=outcome.sentence,
                    recorded_at=at,
                    first_t0=first_t0,
                    last_t0=last_t0,
                    figures=[one.model_dump(mode="json") for one in figures if one.arm == arm.arm],
                )
                for arm in outcome.arms
            ]
            if latest:
                before = session.exec(
                    select(OutcomeRow).where(OutcomeRow.outreach_id == outreach, OutcomeRow.version == latest)
                ).all()
                if _counted(before) == _counted(rows):
                    return
            session.add_all(rows)
            of = {**outcome.model_dump(), "outreach": outreach, "version": (latest or 0) + 1}
            tell(session, OutcomeRecorded.model_validate(of), at=at)

    def report(self, *, reason: str | None = None, since: datetime | None = None) -> list[ReportLine]:
        """Returns the arms of the latest version of every outcome, by reason code and time."""
        with self._database.read() as session:
            return [
                ReportLine(outreach=row.outreach_id, trigger=trigger, **row.model_dump())
                for row, trigger in session.exec(_latest(reason, since))
            ]

    def latest(self, *, reason: str | None = None, since: datetime | None = None) -> list[OutcomeRecord]:
        """Returns the latest version of every outcome, by reason code and time."""
        arms: dict[str, list[tuple[OutcomeRow, str]]] = {}
        with self._database.read() as session:
            for row, trigger in session.exec(_latest(reason, since)):
                arms.setdefault(row.outreach_id, []).append((row, trigger))
        return [
            OutcomeRecord.model_validate(
                {
                    **rows[0][0].model_dump(),
                    "outreach": outreach,
                    "trigger": rows[0][1],
                    "counted": any(row.rate is not None for row, _ in rows),
                    "figures": [one for row, _ in rows for one in row.figures],
                }
            )
            for outreach, rows in arms.items()
        ]


def _latest(reason: str | None, since: datetime | None) -> Select[OutcomeRow, str]:
    latest = (
        select(OutcomeRow.outreach_id, func.max(OutcomeRow.version).label("version"))
        .group_by(col(OutcomeRow.outreach_id))
        .subquery()
    )
    query = (
        select(OutcomeRow, OutreachRow.trigger)
        .join(
            latest,
            (col(OutcomeRow.outreach_id) == latest.c.outreach_id) & (col(OutcomeRow.version) == latest.c.version),
        )
        .join(OutreachRow, col(OutreachRow.id) == col(OutcomeRow.outreach_id))
        .order_by(col(OutcomeRow.reason_code), col(OutcomeRow.recorded_at), col(OutcomeRow.arm).desc())
    )
    if reason is not None:
        query = query.where(OutcomeRow.reason_code == reason)
    if since is not None:
        query = query.where(col(OutcomeRow.recorded_at) >= since)
    return query


def _counted(rows: Sequence[OutcomeRow]) -> dict[str, tuple[object, ...]]:
    return {row.arm: (row.clusters, row.contacted, row.grade, row.figures) for row in rows}
