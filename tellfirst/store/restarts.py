"""Restarts: what a workflow goes on from when the one before it is gone, and that it may claim the outreach."""

from datetime import datetime
from typing import cast

from sqlalchemy import func
from sqlmodel import col, select

from tellfirst.domain.condition import Audience, Condition, Subject
from tellfirst.domain.plan import RevisionStatus
from tellfirst.domain.recipient import OnRecord
from tellfirst.errors import RefusedError
from tellfirst.signing.trail import Entry
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.outreaches import RevisionRecord
from tellfirst.store.recipients import Recipients
from tellfirst.store.tables import OutreachRow, RecipientRow, SendRow, SubjectRow


class Restarts:
    """Hands outreaches over to new workflows."""

    def __init__(self, database: Database) -> None:
        self._database, self._chain = database, Chain(database)
        self._recipients = Recipients(database)

    def release(self, outreach: str, *, by: str, at: datetime) -> Condition:
        """Lets a new workflow claim an open outreach, and returns the condition to start it with.

        Raises RefusedError for one that has ended or that nobody knows.
        """
        with self._database.write() as session:
            row = session.get(OutreachRow, outreach, with_for_update=True)
            if row is None or row.closed_at is not None:
                raise RefusedError("it has ended, or was never planned", where=outreach, remedy="see `tellfirst stuck`")
            row.first_run = ""
            session.add(row)
            mine = select(SubjectRow).where(SubjectRow.outreach_id == outreach).order_by(col(SubjectRow.key))
            subjects = tuple(Subject(key=s.key, customer=s.customer_ref, facts=s.facts) for s in session.exec(mine))
            self._chain.append(Entry(kind="restart", about=outreach, actor=by, at=at), session)
            return Condition(
                trigger=row.trigger,
                key=row.key,
                episode=row.episode,
                detected_at=row.detected_at,
                facts=row.facts,
                subjects=subjects,
                audience=None if row.audience is None else Audience.model_validate(row.audience),
                proposer=row.proposer,
            )

    def on_record(self, revision: RevisionRecord, *, paused: bool) -> OnRecord:
        """Returns how far a frozen revision has come."""
        mine = (RecipientRow.outreach_id == revision.outreach, RecipientRow.revision == revision.number)
        sends = select(SendRow.step).where(
            SendRow.outreach_id == revision.outreach, SendRow.revision == revision.number
        )
        # Those behind the first few are drawn once somebody has let them go.
        first = revision.plan.canary or revision.plan.page_count
        wave = self._recipients.wave(revision.outreach, revision.number, end=first)
        with self._database.read() as session:
            t0 = session.exec(select(func.max(RecipientRow.t0)).where(*mine)).one()
            begun = set(session.exec(sends.distinct()))
        return OnRecord(
            status=cast("RevisionStatus", revision.status),
            paused=paused,
            wave=wave if wave.treated or wave.control else None,
            t0=t0,
            begun=tuple(step.id for step in revision.plan.steps if step.id in begun),
        )
