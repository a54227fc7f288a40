"""Notices: what people were told, and whether it reached them."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables_escalations import DeliveryRow, NoticeRow


class Notice(Frozen):
    """Is something people are told; `level` is the rung of an escalation's ladder, 0 for none."""

    id: str
    outreach: str
    kind: str
    to: str
    text: str
    at: datetime
    level: int = 0
    deadline: datetime | None = None


class NoticeDelivery(Frozen):
    """Is what became of a notice by one way; `detail` is what its last attempt said."""

    way: str
    attempts: int
    detail: str
    delivered_at: datetime | None


class Notices:
    """Keeps notices before they leave, and what became of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, notice: Notice, ways: Sequence[str]) -> bool:
        """Keeps a notice that is to leave by these ways and returns whether it is new; the same id is told once."""
        values = notice.model_dump()
        values["outreach_id"] = values.pop("outreach")
        with self._database.write() as session:
            if not insert_new(session, NoticeRow, [values]):
                return False
            empty = {"notice_id": notice.id, "attempts": 0, "detail": "", "delivered_at": None}
            insert_new(session, DeliveryRow, [{**empty, "way": way} for way in ways])
            return True

    def get(self, id_: str) -> Notice | None:
        """Returns a notice, or None."""
        with self._database.read() as session:
            row = session.get(NoticeRow, id_)
            return None if row is None else _notice(row)

    def of(self, outreach: str) -> list[Notice]:
        """Returns what was told about an outreach, in order."""
        query = select(NoticeRow).where(NoticeRow.outreach_id == outreach)
        with self._database.read() as session:
            rows = session.exec(query.order_by(col(NoticeRow.at), col(NoticeRow.level), col(NoticeRow.id)))
            return [_notice(row) for row in rows]

    def undelivered(self, id_: str) -> list[str]:
        """Returns the ways by which a notice has not been delivered."""
        query = select(DeliveryRow.way).where(DeliveryRow.notice_id == id_, col(DeliveryRow.delivered_at).is_(None))
        with self._database.read() as session:
            return list(session.exec(query.order_by(col(DeliveryRow.way))))

    def tried(self, id_: str, way: str, detail: str, *, delivered: bool, at: datetime) -> None:
        """Records one attempt; what was delivered stays so."""
        changed = {"attempts": DeliveryRow.attempts + 1, "detail": detail, "delivered_at": at if delivered else None}
        with self._database.write() as session:
            session.execute(
                update(DeliveryRow)
                .where(
                    col(DeliveryRow.notice_id) == id_,
                    col(DeliveryRow.way) == way,
                    col(DeliveryRow.delivered_at).is_(None),
                )
                .values(**changed)
            )

    def deliveries(self, outreach: str) -> dict[str, list[NoticeDelivery]]:
        """Returns what became of each notice about an outreach, by its id."""
        query = (
            select(DeliveryRow)
            .join(NoticeRow, col(NoticeRow.id) == col(DeliveryRow.notice_id))
            .where(NoticeRow.outreach_id == outreach)
            .order_by(col(DeliveryRow.way))
        )
        found: dict[str, list[NoticeDelivery]] = {}
        with self._database.read() as session:
            for row in session.exec(query):
                found.setdefault(row.notice_id, []).append(
                    NoticeDelivery(way=row.way, attempts=row.attempts, detail=row.detail, delivered_at=row.delivered_at)
                )
        return found


def _notice(row: NoticeRow) -> Notice:
    return Notice(outreach=row.outreach_id, **row.model_dump(exclude={"outreach_id"}))
