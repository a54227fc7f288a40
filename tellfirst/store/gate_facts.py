"""What the gate judges by, read in the transaction that commits the intents: switches, addresses, consents, places."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from tellfirst.domain.base import Frozen
from tellfirst.policy.verdict import Consent
from tellfirst.store.tables import ConsentRow, ContactPointRow, ControlRow, OutreachRow, ReservationRow
from tellfirst.store.tables_replies import HoldRow


class Switches(Frozen):
    """Is everything a person or a breaker may have switched, read in the transaction of the intents."""

    pause_all: bool
    paused: bool
    blocked: str
    channel_halted: str
    cleared: bool


class CustomerFacts(Frozen):
    """Is what holds for one customer now, on one channel."""

    address: str | None
    usable: bool
    consents: tuple[Consent, ...]
    held: bool
    reserved: bool


def read_facts(session: Session, outreach: str, channel: str, customers: Sequence[str]) -> dict[str, CustomerFacts]:
    """Returns what holds now for each of a micro-batch's customers, within the session's transaction."""
    points = {
        point.customer_id: point
        for point in session.exec(
            select(ContactPointRow).where(
                col(ContactPointRow.customer_id).in_(customers), ContactPointRow.channel == channel
            )
        )
    }
    consents: dict[str, list[Consent]] = {}
    for c in session.exec(select(ConsentRow).where(col(ConsentRow.customer_id).in_(customers))):
        consent = Consent(channel=c.channel, purpose=c.purpose, allowed=c.allowed, at=c.at)
        consents.setdefault(c.customer_id, []).append(consent)
    places = select(ReservationRow.customer_id).where(
        col(ReservationRow.customer_id).in_(customers), ReservationRow.outreach_id == outreach
    )
    reserved = set(session.exec(places))
    waiting = select(HoldRow.customer_id).where(
        col(HoldRow.customer_id).in_(customers), col(HoldRow.ended_at).is_(None)
    )
    held = set(session.exec(waiting))
    return {
        customer: CustomerFacts(
            address=points[customer].address if customer in points else None,
            usable=customer in points and points[customer].usable,
            consents=tuple(consents.get(customer, ())),
            held=customer in held,
            reserved=customer in reserved,
        )
        for customer in customers
    }


def read_switches(session: Session, outreach: str, channel: str) -> Switches:
    """Returns what is switched now, within the session's transaction."""
    row = session.get_one(OutreachRow, outreach)
    controls = {
        c.name: c.value
        for c in session.exec(select(ControlRow).where(col(ControlRow.name).in_(["pause-all", f"channel:{channel}"])))
    }
    return Switches(
        pause_all="pause-all" in controls,
        paused=row.paused,
        blocked=row.blocked or "",
        channel_halted=controls.get(f"channel:{channel}", ""),
        cleared=row.cleared_at is not None,
    )
