"""The ledger of detection: each subject is admitted once an episode, and an episode follows the data, not our work."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from tellfirst.domain.condition import ADMITTED, Audience, Condition, Facts, Subject
from tellfirst.store.engine import Database
from tellfirst.store.statements import chunks, insert_new, table
from tellfirst.store.tables import AdmissionRow, ConditionRow, OutreachRow


class Affected(Protocol):
    """Is one affected subject as a detector found it."""

    @property
    def subject_key(self) -> str:
        """Returns the subject's own key."""
        ...

    @property
    def customer_ref(self) -> str:
        """Returns the customer it belongs to."""
        ...

    @property
    def since(self) -> datetime:
        """Returns when the condition began for it."""
        ...

    @property
    def facts(self) -> Facts:
        """Returns what the rule told of it."""
        ...


class Admissions:
    """Keeps the ledger and the conditions it made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def new(self, trigger: str, keys: Sequence[str]) -> set[str]:
        """Returns which of the found subjects have no open episode."""
        with self._database.read() as session:
            return set(keys) - _open(session, trigger, keys)

    def observe(self, trigger: str, keys: Sequence[str], *, at: datetime, hold_down: timedelta) -> None:
        """Closes the episodes of subjects that a sweep no longer finds, once they stayed away for `hold_down`.

        A condition is over when the last of its subjects is.
        """
        found = set(keys)
        with self._database.write() as session:
            missing: list[int] = []
            back: list[int] = []
            query = (
                select(AdmissionRow.id, AdmissionRow.subject_key, AdmissionRow.missing_since)
                .where(AdmissionRow.trigger == trigger, col(AdmissionRow.closed_at).is_(None))
                .order_by(col(AdmissionRow.id))
            )
            for id_, key, missing_since in session.exec(query):
                if key not in found:
                    missing.append(id_ or 0)
                elif missing_since is not None:
                    back.append(id_ or 0)
            for chunk in chunks(back):
                session.execute(update(AdmissionRow).where(col(AdmissionRow.id).in_(chunk)).values(missing_since=None))
            for chunk in chunks(missing):
                ids = col(AdmissionRow.id).in_(chunk)
                session.execute(
                    update(AdmissionRow).where(ids, col(AdmissionRow.missing_since).is_(None)).values(missing_since=at)
                )
                session.execute(
                    update(AdmissionRow)
                    .where(ids, col(AdmissionRow.missing_since) <= at - hold_down)
                    .values(closed_at=at)
                )
            if missing:
                condition, admission = table(ConditionRow), table(AdmissionRow)
                affected = select(admission.c.id).where(
                    admission.c.trigger == condition.c.trigger,
                    admission.c.condition_key == condition.c.key,
                    admission.c.condition_episode == condition.c.episode,
                    admission.c.closed_at.is_(None),
                )
                session.execute(
                    update(condition)
                    .where(condition.c.trigger == trigger, condition.c.cleared_at.is_(None), ~affected.exists())
                    .values(cleared_at=at)
                )

    def admit(
        self,
        trigger: str,
        admissions: Mapping[str, Sequence[Affected]],
        *,
        at: datetime,
        facts: Mapping[str, Facts],
        parameters: Facts,
    ) -> dict[str, int]:
        """Admits subjects by condition key and opens their conditions, all or none; who is in stays where they were.

        Returns the episode of each condition. Under the empty key stand those too late to be told. `facts` are the
        shared facts by condition key. A condition that is still open takes more subjects; a closed one recurs as its
        next episode.
        """
        with self._database.write() as session:
            keys = [one.subject_key for group in admissions.values() for one in group]
            still_open = _open(session, trigger, keys)
            episodes: dict[str, int] = {}
            for chunk in chunks(keys):
                latest = (
                    select(AdmissionRow.subject_key, func.max(AdmissionRow.episode))
                    .where(AdmissionRow.trigger == trigger, col(AdmissionRow.subject_key).in_(chunk))
                    .group_by(col(AdmissionRow.subject_key))
                )
                episodes.update(dict(session.exec(latest).all()))
            conditions = {key: _episode(session, trigger, key) for key in admissions if key}
            # In one order, so that two sweeps at once wait for each other and never in a circle.
            found = sorted(
                ((one, key) for key, group in admissions.items() for one in group), key=lambda pair: pair[0].subject_key
            )
            insert_new(
                session,
                AdmissionRow,
                [
                    {
                        "trigger": trigger,
                        "subject_key": one.subject_key,
                        "episode": episodes.get(one.subject_key, 0) + 1,
                        "condition_key": condition_key,
                        "condition_episode": conditions.get(condition_key, 0),
                        "customer_ref": one.customer_ref,
                        "since": one.since,
                        "facts": one.facts,
                        "admitted_at": at,
                        "too_late": not condition_key,
                    }
                    for one, condition_key in found
                    if one.subject_key not in still_open
                ],
            )
            insert_new(
                session,
                ConditionRow,
                [
                    {
                        "trigger": trigger,
                        "key": key,
                        "episode": episode,
                        "detected_at": at,
                        "facts": facts.get(key, {}),
                        "parameters": parameters,
                    }
                    for key, episode in sorted(conditions.items())
                    # Of two sweeps at once only one admits a subject: the other's condition would be about nobody.
                    if _subjects(session, trigger, key, episode)
                ],
            )
            return conditions

    def changed(self, trigger: str, *, at: datetime) -> list[str]:
        """Returns the running outreaches whose condition a sweep at this instant made larger, or found to be over."""
        admission = table(AdmissionRow)
        grown = select(admission.c.id).where(
            admission.c.trigger == col(OutreachRow.trigger),
            admission.c.condition_key == col(OutreachRow.key),
            admission.c.condition_episode == col(OutreachRow.episode),
            admission.c.admitted_at == at,
        )
        query = (
            select(OutreachRow.id)
            .join(
                ConditionRow,
                (col(OutreachRow.trigger) == col(ConditionRow.trigger))
                & (col(OutreachRow.key) == col(ConditionRow.key))
                & (col(OutreachRow.episode) == col(ConditionRow.episode)),
            )
            .where(
                OutreachRow.trigger == trigger,
                col(OutreachRow.closed_at).is_(None),
                (col(ConditionRow.cleared_at) == at) | grown.exists(),
            )
            .order_by(col(OutreachRow.id))
        )
        with self._database.read() as session:
            return list(session.exec(query))

    def waiting(self, trigger: str) -> list[tuple[Condition, int]]:
        """Returns conditions whose outreach nobody has claimed yet, with their number of subjects.

        A crash between admission and start leaves the condition here, so the next sweep starts it.
        """
        query = (
            select(ConditionRow)
            .join(
                OutreachRow,
                (col(OutreachRow.trigger) == col(ConditionRow.trigger))
                & (col(OutreachRow.key) == col(ConditionRow.key))
                & (col(OutreachRow.episode) == col(ConditionRow.episode)),
                isouter=True,
            )
            .where(ConditionRow.trigger == trigger, col(OutreachRow.id).is_(None))
            .order_by(col(ConditionRow.id))
        )
        with self._database.read() as session:
            return [(_condition(row), _subjects(session, trigger, row.key, row.episode)) for row in session.exec(query)]

    def admitted(self, trigger: str, key: str, episode: int | None = None) -> Iterator[list[Subject]]:
        """Yields the subjects admitted to one episode of a condition, by default its latest, in lists."""
        if episode is None:
            with self._database.read() as session:
                latest = select(func.max(ConditionRow.episode)).where(
                    ConditionRow.trigger == trigger, ConditionRow.key == key
                )
                episode = session.exec(latest).one() or 0
        last, row = 0, table(AdmissionRow).c
        while True:
            query = (
                select(row.id, row.subject_key, row.customer_ref, row.facts)
                .where(
                    row.trigger == trigger,
                    row.condition_key == key,
                    row.condition_episode == episode,
                    row.id > last,
                )
                .order_by(row.id)
                .limit(2_000)
            )
            with self._database.read() as session:
                rows = session.execute(query).all()
            if not rows:
                return
            yield [Subject(key=r.subject_key, customer=r.customer_ref, facts=r.facts) for r in rows]
            last = rows[-1].id

    def parameters(self, trigger: str, key: str, episode: int) -> Facts:
        """Returns the rule's parameters with which a condition was detected."""
        with self._database.read() as session:
            row = session.exec(
                select(ConditionRow).where(
                    ConditionRow.trigger == trigger, ConditionRow.key == key, ConditionRow.episode == episode
                )
            ).first()
            return {} if row is None else row.parameters


def _open(session: Session, trigger: str, keys: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for chunk in chunks(keys):
        found.update(
            session.exec(
                select(AdmissionRow.subject_key).where(
                    AdmissionRow.trigger == trigger,
                    col(AdmissionRow.subject_key).in_(chunk),
                    col(AdmissionRow.closed_at).is_(None),
                )
            )
        )
    return found


def _episode(session: Session, trigger: str, key: str) -> int:
    latest = session.exec(
        select(ConditionRow.episode, ConditionRow.cleared_at)
        .where(ConditionRow.trigger == trigger, ConditionRow.key == key)
        .order_by(col(ConditionRow.episode).desc())
    ).first()
    if latest is None:
        return 1
    episode, cleared_at = latest
    return episode if cleared_at is None else episode + 1


def _subjects(session: Session, trigger: str, key: str, episode: int) -> int:
    query = (
        select(func.count())
        .select_from(AdmissionRow)
        .where(
            AdmissionRow.trigger == trigger,
            AdmissionRow.condition_key == key,
            AdmissionRow.condition_episode == episode,
        )
    )
    return session.exec(query).one()


def _condition(row: ConditionRow) -> Condition:
    return Condition(
        trigger=row.trigger,
        key=row.key,
        episode=row.episode,
        detected_at=row.detected_at,
        facts=row.facts,
        audience=Audience(query=ADMITTED),
    )
