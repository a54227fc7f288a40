"""Switches that every process reads before it sends, and what people were told."""

from datetime import datetime

from sqlmodel import col, delete, select

from tellfirst.domain.base import Frozen
from tellfirst.signing.trail import Entry
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import ControlRow, NoticeRow

PAUSE_ALL = "pause-all"


class Control(Frozen):
    """Is one switch that is on."""

    name: str
    value: str
    by: str
    at: datetime


class Notice(Frozen):
    """Is something a person is told; the same id is told once."""

    id: str
    outreach: str
    kind: str
    to: str
    text: str
    at: datetime


class Controls:
    """Turns switches on and off and keeps notices."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def turn_on(self, name: str, value: str, *, by: str, at: datetime) -> None:
        """Turns a switch on; one that is on stays as it is."""
        with self._database.write() as session:
            new = insert_new(session, ControlRow, [{"name": name, "value": value, "by": by, "at": at}]) == 1
        # Stopped first, written down second: an audit log that cannot be written must not keep messages leaving.
        if new:
            self._chain.append(Entry(kind="switch_on", about=name, actor=by, at=at, facts={"value": value}))

    def turn_off(self, name: str, *, by: str, at: datetime) -> bool:
        """Turns a switch off and returns whether it was on."""
        with self._database.write() as session:
            done = session.execute(delete(ControlRow).where(col(ControlRow.name) == name))
            was_on = bool(done.rowcount)  # type: ignore[attr-defined]
            if was_on:
                self._chain.append(Entry(kind="switch_off", about=name, actor=by, at=at), session)
            return was_on

    def on(self) -> list[Control]:
        """Returns all switches that are on."""
        with self._database.read() as session:
            rows = session.exec(select(ControlRow).order_by(col(ControlRow.name)))
            return [Control(name=r.name, value=r.value, by=r.by, at=r.at) for r in rows]

    def tell(self, notice: Notice) -> bool:
        """Keeps a notice and returns whether it is new."""
        values = notice.model_dump()
        values["outreach_id"] = values.pop("outreach")
        with self._database.write() as session:
            return insert_new(session, NoticeRow, [values]) == 1

    def notices(self, outreach: str) -> list[Notice]:
        """Returns what was told about an outreach, in order."""
        with self._database.read() as session:
            rows = session.exec(
                select(NoticeRow)
                .where(NoticeRow.outreach_id == outreach)
                .order_by(col(NoticeRow.at), col(NoticeRow.id))
            )
            return [Notice(id=r.id, outreach=r.outreach_id, kind=r.kind, to=r.to, text=r.text, at=r.at) for r in rows]
