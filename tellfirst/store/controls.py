"""Switches that every process reads before it sends."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlmodel import Session, col, delete, select, update

from tellfirst.contract import resume_id
from tellfirst.domain.base import Frozen
from tellfirst.signing.trail import Entry, Link
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import ControlRow

PAUSE_ALL = "pause-all"
"""The switch that stops everything; its value is the id of the pause, which those who end it sign."""
ON, OFF = "switch_on", "switch_off"


class Control(Frozen):
    """Is one switch that is on."""

    name: str
    value: str
    by: str
    at: datetime


class Controls:
    """Turns switches on and off."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def turn_on(self, name: str, value: str, *, by: str, at: datetime) -> None:
        """Turns a switch on; one that is on stays as it is."""
        given = {"name": name, "value": value, "by": by, "at": at}
        with self._database.write() as session:
            new = insert_new(session, ControlRow, [given]) == 1
        # Stopped first, written down second: an audit log that cannot be written must not keep messages leaving.
        if new:
            self._chain.append(_entry(ON, name, value, by, at))

    def pause_all(self, pause: str, *, by: str, at: datetime) -> None:
        """Pauses everything under an id of its own, also where it is paused already.

        The earlier pause then ends in this one: who signed that it may end has said nothing about this one. Raises
        SourceError when the audit log cannot be written; it is paused all the same.
        """
        given = {"value": pause, "by": by, "at": at}
        with self._database.write() as session:
            done = 0
            while not done:  # between the two somebody may have let everything go on
                done = insert_new(session, ControlRow, [{"name": PAUSE_ALL, **given}])
                if not done:
                    changed = session.execute(update(ControlRow).where(col(ControlRow.name) == PAUSE_ALL).values(given))
                    done = changed.rowcount  # type: ignore[attr-defined]
        self._chain.append(_entry(ON, PAUSE_ALL, pause, by, at))

    def pause(self) -> Control | None:
        """Returns the pause of everything, None while there is none."""
        return next((control for control in self.on() if control.name == PAUSE_ALL), None)

    def turn_off(self, name: str, *, by: str, at: datetime) -> bool:
        """Turns a switch off and returns whether it was on."""
        with self._database.write() as session:
            return self._off(session, name, "", by, at)

    def ending(self, pause: str, *, at: datetime) -> Callable[[Session], bool]:
        """Returns what ends a pause inside a transaction; it says False when that is not the present pause.

        Nobody is named for it in the audit log: the decisions that stand beside it there name two.
        """
        return lambda session: self._off(session, PAUSE_ALL, pause, "", at)

    def _off(self, session: Session, name: str, value: str, by: str, at: datetime) -> bool:
        chosen = [col(ControlRow.name) == name, *([col(ControlRow.value) == value] if value else [])]
        was_on = bool(session.execute(delete(ControlRow).where(*chosen)).rowcount)  # type: ignore[attr-defined]
        if was_on:
            self._chain.append(_entry(OFF, name, value, by, at), session)
        return was_on

    def on(self) -> list[Control]:
        """Returns all switches that are on."""
        with self._database.read() as session:
            rows = session.exec(select(ControlRow).order_by(col(ControlRow.name)))
            return [Control(name=r.name, value=r.value, by=r.by, at=r.at) for r in rows]


def differences(session: Session, links: Sequence[Link]) -> list[str]:
    """Returns a sentence for the switches that are not as the audit log says, or were not turned off as they must be.

    A pause of everything is ended by two people, whose decisions stand in the log.
    """
    told: dict[str, object] = {}
    approvers: dict[str, set[str]] = {}
    ended: list[str] = []
    for link in links:
        if link.kind == ON:
            told[link.about] = link.facts.get("value")
        elif link.kind == OFF:
            if link.about == PAUSE_ALL:
                ended.append(resume_id(str(link.facts.get("value"))))
            told.pop(link.about, None)
        elif link.kind == "decision" and link.facts.get("decision") == "approve":
            approvers.setdefault(link.about, set()).add(link.actor)
    on = {row.name: row.value for row in session.exec(select(ControlRow))}
    unsigned = sum(len(approvers.get(resume, ())) < 2 for resume in ended)
    alone = sum(told.get(name) != value for name, value in on.items())
    gone = sum(name not in on for name in told)
    return [
        f"audit log: {count:,} {'switch' if count == 1 else 'switches'} {words}"
        for count, words in (
            (gone, "turned off in the database without an entry"),
            (alone, "turned on in the database without an entry"),
            (unsigned, "ended without the signatures of two people"),
        )
        if count
    ]


def _entry(kind: str, name: str, value: str, by: str, at: datetime) -> Entry:
    return Entry(kind=kind, about=name, actor=by, at=at, facts={"value": value} if value else {})
