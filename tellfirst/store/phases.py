"""Phased outreaches: who is told later is compared with who was told earlier, until the next phase begins."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, select

from tellfirst.domain.figures import ArmFigures
from tellfirst.store.engine import Database
from tellfirst.store.statements import table
from tellfirst.store.tables import ContactRow
from tellfirst.store.tables_assignments import AssignmentRow
from tellfirst.store.tables_contacts import MergeRow


class Phases:
    """Counts contacts between phases, of accounts as the ledger drew them: what became of their rows steers nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, outreach: str, reason_code: str) -> tuple[ArmFigures, ...]:
        """Returns the figures of a phased outreach, two per phase but the last; none of any other outreach.

        In phase j of K a cluster of those not told yet is told with the probability 1 / (K - j); so each phase has a
        share of its own, and is compared within itself.
        """
        row = table(AssignmentRow)
        mine = and_(row.c.scope == outreach, row.c.phases > 1, row.c.arm == "treated")
        waves = select(row.c.t0, row.c.phases, row.c.phase_seconds).where(mine).distinct()
        found: dict[tuple[float, str], dict[str, int]] = {}
        with self._database.read() as session:
            for t0, phases, seconds in session.execute(waves).all():
                for phase in range(phases - 1):
                    begins = t0 + timedelta(seconds=phase * seconds)
                    drawn = and_(mine, row.c.t0 == t0, row.c.phases == phases, row.c.phase >= phase)
                    ends = begins + timedelta(seconds=seconds)
                    share = 1 - 1 / (phases - phase)
                    for one in session.execute(_counted(drawn, phase, reason_code, begins, ends)).mappings():
                        counts = found.setdefault((share, one["arm"]), {})
                        for name in ("clusters", "contacted", "elsewhere", "anyhow", "repeated"):
                            counts[name] = counts.get(name, 0) + one[name]
        return tuple(ArmFigures(arm=arm, share=share, **counts) for (share, arm), counts in sorted(found.items()))


def _counted(drawn: ColumnElement[bool], phase: int, reason_code: str, begins: datetime, ends: datetime) -> Select[Any]:
    row, merge, contact = table(AssignmentRow), table(MergeRow), table(ContactRow)
    account = func.coalesce(merge.c.into, row.c.unit)
    about, each = contact.c.reason_code == reason_code, contact.c.source + "/" + contact.c.id
    units = (
        select(
            func.min(row.c.phase).label("phase"),
            func.count(each.distinct()).filter(about).label("about"),
            func.count(each.distinct()).label("any"),
        )
        .select_from(
            row.outerjoin(merge, merge.c.old == row.c.unit).outerjoin(
                contact,
                and_(contact.c.cluster == account, contact.c.occurred_at >= begins, contact.c.occurred_at < ends),
            )
        )
        .where(drawn)
        .group_by(account)
        .subquery()
    )
    one = units.c
    arm = case((one.phase == phase, "treated"), else_="control")
    return select(
        arm.label("arm"),
        func.count().label("clusters"),
        func.count().filter(one.about > 0).label("contacted"),
        func.count().filter(one.any > one.about).label("elsewhere"),
        func.count().filter(one.any > 0).label("anyhow"),
        func.count().filter(one.about > 1).label("repeated"),
    ).group_by(arm)
