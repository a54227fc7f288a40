"""What the gate judges by, read in the transaction that commits the intents: switches, addresses, consents, places."""

from collections.abc import Sequence

from sqlalchemy import BindParameter, bindparam, select
from sqlmodel import Session

from tellfirst.domain.base import Frozen
from tellfirst.policy.verdict import Consent
from tellfirst.store.statements import table
from tellfirst.store.tables import ConsentRow, ContactPointRow, ControlRow, OutreachRow, ReservationRow
from tellfirst.store.tables_replies import HoldRow

_POINTS, _CONSENTS, _CONTROLS = table(ContactPointRow), table(ConsentRow), table(ControlRow)
_OUTREACHES, _PLACES, _HOLDS = table(OutreachRow), table(ReservationRow), table(HoldRow)
"""Columns and no mapped objects: what is read before each micro-batch is in the way of every message."""
_ASKED: BindParameter[list[str]] = bindparam("customers", expanding=True)
_CHANNEL: BindParameter[str] = bindparam("channel")
_OUTREACH: BindParameter[str] = bindparam("outreach")
POINTS = select(_POINTS.c.customer_id, _POINTS.c.address, _POINTS.c.usable).where(
    _POINTS.c.customer_id.in_(_ASKED), _POINTS.c.channel == _CHANNEL
)
CONSENTS = select(*(_CONSENTS.c[name] for name in ("customer_id", "channel", "purpose", "allowed", "at"))).where(
    _CONSENTS.c.customer_id.in_(_ASKED)
)
RESERVED = select(_PLACES.c.customer_id).where(_PLACES.c.customer_id.in_(_ASKED), _PLACES.c.outreach_id == _OUTREACH)
HELD = select(_HOLDS.c.customer_id).where(_HOLDS.c.customer_id.in_(_ASKED), _HOLDS.c.ended_at.is_(None))
STATE = select(_OUTREACHES.c.paused, _OUTREACHES.c.blocked, _OUTREACHES.c.cleared_at).where(
    _OUTREACHES.c.id == _OUTREACH
)
SWITCHED = select(_CONTROLS.c.name, _CONTROLS.c.value).where(_CONTROLS.c.name.in_(bindparam("names", expanding=True)))
"""Written once: to write a statement takes longer than to run it."""


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
    asked = {"customers": customers, "channel": channel, "outreach": outreach}
    points = {point.customer_id: point for point in session.execute(POINTS, asked)}
    consents: dict[str, list[Consent]] = {}
    for c in session.execute(CONSENTS, asked):
        consent = Consent(channel=c.channel, purpose=c.purpose, allowed=c.allowed, at=c.at)
        consents.setdefault(c.customer_id, []).append(consent)
    reserved = set(session.execute(RESERVED, asked).scalars())
    held = set(session.execute(HELD, asked).scalars())
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
    row = session.execute(STATE, {"outreach": outreach}).one()
    names = ["pause-all", f"channel:{channel}"]
    controls = {one.name: one.value for one in session.execute(SWITCHED, {"names": names})}
    return Switches(
        pause_all="pause-all" in controls,
        paused=row.paused,
        blocked=row.blocked or "",
        channel_halted=controls.get(f"channel:{channel}", ""),
        cleared=row.cleared_at is not None,
    )
