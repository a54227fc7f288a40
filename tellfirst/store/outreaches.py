"""Outreaches, their revisions and the exact playbooks they were planned from."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Audience, Condition, Facts, Subject
from tellfirst.domain.feed import OutreachPlanned
from tellfirst.domain.plan import Plan
from tellfirst.signing.kinds import Proposal
from tellfirst.signing.trail import Entry
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.statements import chunks, insert_new, table
from tellfirst.store.tables import OutreachRow, PlaybookVersionRow, RecipientRow, RevisionRow, SubjectRow
from tellfirst.store.telling import tell

_OUTREACHES, _REVISIONS, _VERSIONS = table(OutreachRow), table(RevisionRow), table(PlaybookVersionRow)
OUTREACH = _OUTREACHES.select().where(_OUTREACHES.c.id == bindparam("outreach"))
REVISION = (
    _REVISIONS.join(_VERSIONS, _VERSIONS.c.version == _REVISIONS.c.playbook_version)
    .select()
    .with_only_columns(_REVISIONS.c.status, _REVISIONS.c.plan, _REVISIONS.c.proposal, _VERSIONS.c.text)
    .where(_REVISIONS.c.outreach_id == bindparam("outreach"), _REVISIONS.c.number == bindparam("number"))
)
LATEST = (
    _REVISIONS.select()
    .with_only_columns(func.max(_REVISIONS.c.number))
    .where(_REVISIONS.c.outreach_id == bindparam("outreach"), _REVISIONS.c.status.not_in(["planning", "empty"]))
)
"""What every step of a life reads, written once: to write a statement takes longer than to run it."""


class OutreachRecord(Frozen):
    """Is one outreach as recorded."""

    id: str
    trigger: str
    key: str
    episode: int
    started_at: datetime
    detected_at: datetime
    facts: Facts
    audience: Audience | None
    paused: bool
    blocked: str
    cleared_at: datetime | None
    closed_at: datetime | None
    ending: str
    reason: str
    proposer: str


class RevisionRecord(Frozen):
    """Is one frozen revision: its plan, what is to be signed, and the playbook's exact text."""

    outreach: str
    number: int
    status: str
    plan: Plan
    proposal: Proposal
    playbook_text: str


class Outreaches:
    """Claims, reads and closes outreaches."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)

    def claim(self, outreach: str, condition: Condition, *, run: str, now: datetime) -> bool:
        """Takes the condition's unique row for the workflow `outreach` and run `run`; False when another has it.

        One that was released is anybody's who comes under its name.
        """
        row = OutreachRow(
            id=outreach,
            trigger=condition.trigger,
            key=condition.key,
            episode=condition.episode,
            first_run=run,
            started_at=now,
            detected_at=condition.detected_at,
            facts=dict(condition.facts),
            audience=condition.audience.model_dump(mode="json") if condition.audience else None,
            proposer=condition.proposer,
        )
        try:
            with self._database.write() as session:
                session.add(row)
                session.flush()
                insert_new(
                    session,
                    SubjectRow,
                    [
                        {"outreach_id": outreach, "key": s.key, "customer_ref": s.customer, "facts": s.facts}
                        for s in condition.subjects
                    ],
                )
        except IntegrityError:
            with self._database.write() as session:
                known = session.get(OutreachRow, outreach, with_for_update=True)
                if known is not None and not known.first_run:
                    known.first_run = run
                    session.add(known)
                return known is not None and known.first_run == run
        return True

    def get(self, outreach: str) -> OutreachRecord | None:
        """Returns one outreach, or None."""
        with self._database.read() as session:
            row = session.execute(OUTREACH, {"outreach": outreach}).one_or_none()
        return None if row is None else _record(row)

    def all(self, *, open_only: bool = False) -> list[OutreachRecord]:
        """Returns outreaches in the order they started."""
        query = select(OutreachRow).order_by(col(OutreachRow.started_at), col(OutreachRow.id))
        if open_only:
            query = query.where(col(OutreachRow.closed_at).is_(None))
        with self._database.read() as session:
            return [_record(row) for row in session.exec(query)]

    def subjects(self, outreach: str) -> Iterator[list[Subject]]:
        """Yields the inline subjects in lists."""
        with self._database.read() as session:
            rows = session.exec(
                select(SubjectRow).where(SubjectRow.outreach_id == outreach).order_by(col(SubjectRow.key))
            ).all()
        for chunk in chunks(rows, 2_000):
            yield [Subject(key=r.key, customer=r.customer_ref, facts=r.facts) for r in chunk]

    def planned_already(self, outreach: str, keys: Sequence[str]) -> set[str]:
        """Returns which subjects stand in a finished revision that was not replaced, or were drawn in any.

        Only what nobody was told of is replaced: planned anew, those whom it told would be told again.
        """
        found: set[str] = set()
        begun = select(RevisionRow.number).where(RevisionRow.outreach_id == outreach, RevisionRow.status != "planning")
        with self._database.read() as session:
            # Mostly it is the first revision, of an audience that may be great.
            for chunk in chunks(keys if session.exec(begun).first() is not None else ()):
                found.update(
                    session.exec(
                        select(RecipientRow.subject_key)
                        .join(
                            RevisionRow,
                            (col(RevisionRow.outreach_id) == col(RecipientRow.outreach_id))
                            & (col(RevisionRow.number) == col(RecipientRow.revision)),
                        )
                        .where(
                            RecipientRow.outreach_id == outreach,
                            col(RecipientRow.subject_key).in_(chunk),
                            col(RevisionRow.status).not_in(["planning", "replaced"])
                            | col(RecipientRow.arm).is_not(None),
                        )
                    )
                )
        return found

    def keep_playbook(
        self, version: str, playbook: str, text: str, *, now: datetime, kind: str = "library", by: str = "worker"
    ) -> None:
        """Keeps the exact text that a plan is made from; `kind` and `by` are what the audit log calls it, and who."""
        kept = select(PlaybookVersionRow.version).where(PlaybookVersionRow.version == version)
        with self._database.read() as session:
            if session.exec(kept).first() is not None:
                return  # as nearly always: what only reads waits for nobody
        with self._database.write() as session:
            values = {"version": version, "playbook": playbook, "text": text, "seen_at": now}
            if insert_new(session, PlaybookVersionRow, [values]):
                entry = Entry(kind=kind, about=playbook, actor=by, at=now, facts={"version": version})
                self._chain.append(entry, session)

    def playbook_text(self, version: str) -> str | None:
        """Returns the text that was kept under a version, or None."""
        with self._database.read() as session:
            row = session.get(PlaybookVersionRow, version)
            return None if row is None else row.text

    def open_revision(self, outreach: str, number: int, version: str, *, now: datetime) -> None:
        """Begins a revision; a frozen one stays as it is."""
        with self._database.write() as session:
            insert_new(
                session,
                RevisionRow,
                [
                    {
                        "outreach_id": outreach,
                        "number": number,
                        "playbook_version": version,
                        "planned_at": now,
                        "status": "planning",
                    }
                ],
            )

    def freeze(self, outreach: str, plan: Plan, proposal: Proposal) -> None:
        """Freezes a revision: from here on it is only read."""
        with self._database.write() as session:
            done = session.execute(
                update(RevisionRow)
                .where(
                    col(RevisionRow.outreach_id) == outreach,
                    col(RevisionRow.number) == plan.revision,
                    col(RevisionRow.status).in_(["planning", "empty"]),
                )
                .values(plan=plan.model_dump(mode="json"), proposal=proposal.model_dump(mode="json"), status="pending")
            )
            if done.rowcount:  # type: ignore[attr-defined]
                named = update(OutreachRow).where(col(OutreachRow.id) == outreach)
                session.execute(named.values(reason_code=plan.reason_code))
                tell(session, _planned(outreach, plan, proposal), at=plan.planned_at)

    def revision(self, outreach: str, number: int) -> RevisionRecord | None:
        """Returns a frozen revision, or None while it is not."""
        with self._database.read() as session:
            row = session.execute(REVISION, {"outreach": outreach, "number": number}).one_or_none()
        if row is None or row.plan is None or row.proposal is None:
            return None
        return RevisionRecord(
            outreach=outreach,
            number=number,
            status=row.status,
            plan=Plan.model_validate(row.plan),
            proposal=Proposal.model_validate(row.proposal),
            playbook_text=row.text,
        )

    def pending(self, outreach: str | None = None) -> list[RevisionRecord]:
        """Returns the revisions that await a decision, of one outreach or of all that are open, oldest first."""
        query = (
            select(RevisionRow.outreach_id, RevisionRow.number)
            .join(OutreachRow, col(OutreachRow.id) == col(RevisionRow.outreach_id))
            .where(RevisionRow.status == "pending", col(OutreachRow.closed_at).is_(None))
            .order_by(col(RevisionRow.planned_at), col(RevisionRow.outreach_id), col(RevisionRow.number))
        )
        if outreach is not None:
            query = query.where(RevisionRow.outreach_id == outreach)
        with self._database.read() as session:
            waiting = list(session.exec(query))
        found = (self.revision(name, number) for name, number in waiting)
        return [revision for revision in found if revision is not None]

    def latest_revision(self, outreach: str) -> int:
        """Returns the highest frozen revision number, 0 when there is none."""
        with self._database.read() as session:
            return session.execute(LATEST, {"outreach": outreach}).scalar() or 0

    def set_status(self, outreach: str, number: int, status: str) -> None:
        """Records what became of a revision."""
        with self._database.write() as session:
            session.execute(
                update(RevisionRow)
                .where(col(RevisionRow.outreach_id) == outreach, col(RevisionRow.number) == number)
                .values(status=status)
            )

    def hold(self, outreach: str, *, paused: bool) -> None:
        """Holds an outreach, or lets it go on; going on also clears the breaker."""
        values: dict[str, object] = {"paused": paused}
        if not paused:
            values["blocked"] = None
        with self._database.write() as session:
            session.execute(update(OutreachRow).where(col(OutreachRow.id) == outreach).values(**values))

    def block(self, outreach: str, reason: str) -> None:
        """Trips the breaker: nothing more of this outreach leaves until a person resumes it."""
        with self._database.write() as session:
            session.execute(update(OutreachRow).where(col(OutreachRow.id) == outreach).values(blocked=reason))

    def clear(self, outreach: str, *, at: datetime) -> None:
        """Records that the condition is over."""
        with self._database.write() as session:
            session.execute(
                update(OutreachRow)
                .where(col(OutreachRow.id) == outreach, col(OutreachRow.cleared_at).is_(None))
                .values(cleared_at=at)
            )

    def close(self, outreach: str, *, ending: str, reason: str, at: datetime) -> None:
        """Records how the outreach ended, once."""
        with self._database.write() as session:
            session.execute(
                update(OutreachRow)
                .where(col(OutreachRow.id) == outreach, col(OutreachRow.closed_at).is_(None))
                .values(ending=ending, reason=reason, closed_at=at)
            )


def _planned(outreach: str, plan: Plan, proposal: Proposal) -> OutreachPlanned:
    return OutreachPlanned(
        outreach=outreach,
        playbook=plan.playbook,
        reason_code=plan.reason_code,
        owner=plan.owner,
        revision=plan.revision,
        recipients=plan.recipients,
        channels=dict(proposal.channels),
        steps=tuple(step.id for step in plan.steps),
        decide_by=plan.decide_by,
    )


def _record(row: OutreachRow | Row[Any]) -> OutreachRecord:
    return OutreachRecord(
        id=row.id,
        trigger=row.trigger,
        key=row.key,
        episode=row.episode,
        started_at=row.started_at,
        detected_at=row.detected_at,
        facts=row.facts,
        audience=None if row.audience is None else Audience.model_validate(row.audience),
        paused=row.paused,
        blocked=row.blocked or "",
        cleared_at=row.cleared_at,
        closed_at=row.closed_at,
        ending=row.ending or "",
        reason=row.reason,
        proposer=row.proposer,
    )
