"""Reading for verification: what left, under which decision, against which consent; page by page."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.policy.verdict import Consent
from tellfirst.store.engine import Database
from tellfirst.store.rows import of_send
from tellfirst.store.statements import chunks
from tellfirst.store.surveys import STEP
from tellfirst.store.tables import (
    ConsentRow,
    ContactPointRow,
    OutreachRow,
    PageRow,
    RecipientRow,
    RevisionRow,
    SendRow,
)
from tellfirst.store.tables_alternates import AlternateRow

ACCEPTED = frozenset({SendState.ACCEPTED, SendState.DELIVERED, SendState.UNDELIVERED})
"""States of a message that a provider took."""
MAY_HAVE_LEFT = ACCEPTED | {SendState.INTENT, SendState.UNKNOWN}
"""States of a message that somebody may have got."""


class AuditedSend(Frozen):
    """Is one send with what was approved for it: `approved_text` is the digest of its recipient's first message."""

    id: str
    outreach: str
    revision: int
    recipient: int
    customer: str
    step: str
    channel: str
    page: int
    state: SendState
    reason: str
    attempts: int
    nonce: str
    intent_at: datetime | None
    adapter: str
    provider_id: str
    body_digest: str
    approved_text: str
    misdirected: bool


class Audit:
    """Reads the effect log beside the work that goes on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def outreaches(self) -> int:
        """Returns how many outreaches there are."""
        with self._database.read() as session:
            return session.exec(select(func.count()).select_from(OutreachRow)).one()

    def pages(self) -> int:
        """Returns how many pages were frozen."""
        with self._database.read() as session:
            return session.exec(select(func.count()).select_from(PageRow)).one()

    def states(self) -> dict[SendState, int]:
        """Returns how many sends stand in each state."""
        query = select(SendRow.state, func.count()).group_by(col(SendRow.state))
        with self._database.read() as session:
            return {SendState(state): count for state, count in session.exec(query)}

    def revisions(self) -> Iterator[tuple[str, int]]:
        """Yields outreach and number of every frozen revision."""
        name, number = "", 0
        while True:
            after = (col(RevisionRow.outreach_id) > name) | (
                (col(RevisionRow.outreach_id) == name) & (col(RevisionRow.number) > number)
            )
            query = (
                select(RevisionRow.outreach_id, RevisionRow.number)
                .where(after, RevisionRow.status != "planning")
                .order_by(col(RevisionRow.outreach_id), col(RevisionRow.number))
                .limit(500)
            )
            with self._database.read() as session:
                found = list(session.exec(query))
            if not found:
                return
            yield from found
            name, number = found[-1]

    def sends_on(self, outreach: str, revision: int, page: int) -> list[AuditedSend]:
        """Returns all sends to the recipients of one page, in the order of the audience."""
        query = (
            select(SendRow, RecipientRow, AlternateRow)
            .join(RecipientRow, col(RecipientRow.id) == col(SendRow.recipient_id))
            .join(AlternateRow, of_send(), isouter=True)
            .where(
                RecipientRow.outreach_id == outreach,
                RecipientRow.revision == revision,
                func.coalesce(AlternateRow.page, RecipientRow.page) == page,
            )
            .order_by(col(RecipientRow.position), col(SendRow.id))
        )
        with self._database.read() as session:
            return [_send(row, to, by) for row, to, by in session.exec(query)]

    def sends(self, ids: Sequence[str]) -> dict[str, AuditedSend]:
        """Returns those sends that exist, by id."""
        return {send.id: send for send in self._where(SendRow.id, ids)}

    def sends_to_recipients(self, recipients: Sequence[int]) -> list[AuditedSend]:
        """Returns all sends to these recipients, by whatever channel."""
        return self._where(SendRow.recipient_id, recipients)

    def sends_as(self, provider_ids: Sequence[str]) -> list[AuditedSend]:
        """Returns the sends that a provider knows under these ids."""
        return self._where(SendRow.provider_id, provider_ids)

    def sends_to(self, channel: str, addresses: Sequence[str]) -> dict[str, list[AuditedSend]]:
        """Returns the sends on a channel to whoever has these addresses now, by address."""
        found: dict[str, list[AuditedSend]] = {}
        with self._database.read() as session:
            for chunk in chunks(addresses):
                query = (
                    select(ContactPointRow.address, SendRow, RecipientRow, AlternateRow)
                    .join(SendRow, col(SendRow.customer_id) == col(ContactPointRow.customer_id))
                    .join(RecipientRow, col(RecipientRow.id) == col(SendRow.recipient_id))
                    .join(AlternateRow, of_send(), isouter=True)
                    .where(
                        ContactPointRow.channel == channel,
                        SendRow.channel == channel,
                        col(ContactPointRow.address).in_(chunk),
                    )
                    .order_by(col(SendRow.id))
                )
                for address, row, to, by in session.exec(query):
                    found.setdefault(address, []).append(_send(row, to, by))
        return found

    def consents(self, customers: Sequence[str]) -> dict[str, list[Consent]]:
        """Returns every statement that these customers ever made."""
        found: dict[str, list[Consent]] = {}
        with self._database.read() as session:
            for chunk in chunks(customers):
                for row in session.exec(select(ConsentRow).where(col(ConsentRow.customer_id).in_(chunk))):
                    consent = Consent(channel=row.channel, purpose=row.purpose, allowed=row.allowed, at=row.at)
                    found.setdefault(row.customer_id, []).append(consent)
        return found

    def received(self, outreach: str, step: str, customers: Sequence[str]) -> frozenset[str]:
        """Returns which of these customers a provider took a message of this step for."""
        found: set[str] = set()
        with self._database.read() as session:
            for chunk in chunks(customers):
                query = select(SendRow.customer_id).where(
                    SendRow.outreach_id == outreach,
                    SendRow.step == step,
                    col(SendRow.state).in_(ACCEPTED),
                    col(SendRow.customer_id).in_(chunk),
                )
                found.update(session.exec(query))
        return frozenset(found)

    def left_behind(self) -> int:
        """Counts messages that were to leave and never did although their outreach is closed and nobody held it.

        An outreach that a person paused or aborted, or that a breaker stopped, is held.
        """
        asks = col(SendRow.step).startswith(STEP)
        unheld = (
            OutreachRow.ending == "measured",
            col(OutreachRow.paused).is_(False),
            col(OutreachRow.blocked).is_(None),
        )
        waiting = (
            select(func.count())
            .select_from(SendRow)
            .join(OutreachRow, col(OutreachRow.id) == col(SendRow.outreach_id))
            # A question is asked after its outreach has closed.
            .where(col(SendRow.state).in_([SendState.PLANNED, SendState.DEFERRED]), ~asks, *unheld)
        )
        any_send = select(SendRow.id).where(SendRow.recipient_id == RecipientRow.id, ~asks).exists()
        never_opened = (
            select(func.count())
            .select_from(RecipientRow)
            .join(OutreachRow, col(OutreachRow.id) == col(RecipientRow.outreach_id))
            .where(RecipientRow.arm == "treated", ~any_send, *unheld)
        )
        with self._database.read() as session:
            return session.exec(waiting).one() + session.exec(never_opened).one()

    def old_intents(self, before: datetime) -> int:
        """Counts intents from before an instant that nobody has answered yet."""
        query = (
            select(func.count())
            .select_from(SendRow)
            .where(SendRow.state == SendState.INTENT, col(SendRow.intent_at) < before)
        )
        with self._database.read() as session:
            return session.exec(query).one()

    def _where(self, column: object, values: Sequence[str] | Sequence[int]) -> list[AuditedSend]:
        found: list[AuditedSend] = []
        with self._database.read() as session:
            for chunk in chunks(values):
                query = (
                    select(SendRow, RecipientRow, AlternateRow)
                    .join(RecipientRow, col(RecipientRow.id) == col(SendRow.recipient_id))
                    .join(AlternateRow, of_send(), isouter=True)
                    .where(col(column).in_(chunk))
                    .order_by(col(SendRow.id))
                )
                found += [_send(row, to, by) for row, to, by in session.exec(query)]
        return found


def _send(row: SendRow, to: RecipientRow, by: AlternateRow | None) -> AuditedSend:
    place = to if by is None else by
    asks = row.step.startswith(STEP)  # perhaps by another channel than they are told by
    return AuditedSend(
        id=row.id,
        outreach=row.outreach_id,
        revision=row.revision,
        recipient=row.recipient_id,
        customer=row.customer_id,
        step=row.step,
        channel=row.channel,
        page=row.page,
        state=SendState(row.state),
        reason=row.reason,
        attempts=row.attempts,
        nonce=row.nonce,
        intent_at=row.intent_at,
        adapter=row.adapter,
        provider_id=row.provider_id,
        body_digest=row.body_digest,
        approved_text=place.content_digest or "",
        misdirected=row.customer_id != to.customer_id or (row.channel != place.channel and not asks),
    )
