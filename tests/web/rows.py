"""Rows of the effect log for the tests of the web process, and what became of them."""

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import select

from tellfirst.domain.message import SendState
from tellfirst.store.engine import Database
from tellfirst.store.tables import ConsentRow, ContactPointRow, CustomerRow, OutreachRow, RecipientRow, SendRow
from tests.web.signing import NOON

OUTREACH = "outreach/late_delivery/k-1/1"


def put_sends(
    database: Database,
    sends: Iterable[tuple[str, str, str]],
    *,
    state: SendState = SendState.ACCEPTED,
    settled_at: datetime = NOON,
) -> None:
    """Puts sends of (id, adapter, provider id) into the effect log, each to a customer of its own: `c-{id}`."""
    with database.write() as session:
        outreach = session.get(OutreachRow, OUTREACH) or OutreachRow(
            id=OUTREACH, trigger="late_delivery", key="k-1", episode=1, first_run="r", started_at=NOON,
            detected_at=NOON, facts={},
        )  # fmt: skip
        session.add(outreach)
        begin = len(session.exec(select(RecipientRow.id)).all())
        for position, (id_, adapter, provider_id) in enumerate(sends, start=begin):
            customer, channel = f"c-{id_}", CHANNELS[adapter]
            session.add(CustomerRow(id=customer, cluster=customer, created_at=NOON))
            recipient = RecipientRow(
                outreach_id=OUTREACH, revision=1, position=position, customer_id=customer, subject_key=id_,
                cluster=customer, facts={}, verdict="eligible",
            )  # fmt: skip
            session.add(recipient)
            session.flush()
            assert recipient.id is not None
            session.add(ContactPointRow(customer_id=customer, channel=channel, address=f"{id_}@example.org"))
            session.add(
                SendRow(
                    id=id_, outreach_id=OUTREACH, revision=1, recipient_id=recipient.id, customer_id=customer,
                    step="initial", channel=channel, page=0, state=state, adapter=adapter, provider_id=provider_id,
                    settled_at=settled_at,
                )
            )  # fmt: skip


CHANNELS = {"twilio": "sms", "sendgrid": "email", "resend": "email", "fcm": "push", "outbox": "sms"}


def state_of(database: Database, id_: str) -> tuple[str, str]:
    """Returns the state and reason of a send."""
    with database.read() as session:
        row = session.get_one(SendRow, id_)
        return row.state, row.reason


def opted_out(database: Database) -> list[tuple[str, str, str]]:
    """Returns who wants no more of what: customer, channel and purpose."""
    with database.read() as session:
        rows = session.exec(select(ConsentRow).where(~ConsentRow.allowed)).all()  # type: ignore[arg-type]
        return sorted((row.customer_id, row.channel, row.purpose) for row in rows)


def unusable(database: Database) -> list[str]:
    """Returns whose addresses will never work."""
    with database.read() as session:
        points = session.exec(select(ContactPointRow)).all()
        return sorted(point.customer_id for point in points if not point.usable)


def blocked(database: Database) -> str | None:
    """Returns why nothing more of the outreach leaves."""
    with database.read() as session:
        return session.get_one(OutreachRow, OUTREACH).blocked
