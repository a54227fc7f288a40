"""Whereabouts: where customers may be, when they may be disturbed there, and who else has just written to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from sqlalchemy import func
from sqlmodel import Session, col, select

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel
from tellfirst.policy.hours import Calendar
from tellfirst.policy.quiet import RINGING, HoursTable, Timing, calendar_for
from tellfirst.policy.zones import zones_of
from tellfirst.store.preferences import NONE, preferences_of
from tellfirst.store.statements import chunks
from tellfirst.store.tables import ContactPointRow, CustomerRow, ReservationRow

NUMBERS = ("sms", "voice", "whatsapp", "person")
"""Channels whose addresses are telephone numbers, the most telling first."""


class HourRules(Frozen):
    """Is what decides the hours of an outreach's messages; `default_zone` is that of whom nothing tells theirs."""

    table: HoursTable
    timing: Timing = Timing()
    default_zone: str = ""

    @property
    def hold(self) -> bool:
        """Returns whether there are hours for anybody, beyond those that customers chose."""
        if self.timing.ignores_hours:
            return False
        return bool(self.table.allowed or self.table.business or self.timing.low_engagement)

    def of(self, timing: Timing) -> Self:
        """Returns these rules with what a playbook says about when."""
        return self.model_copy(update={"timing": timing})


def calendars_of(session: Session, customers: Sequence[str], channel: Channel, rules: HourRules) -> dict[str, Calendar]:
    """Returns when each of these customers may be reached on a channel, always for those left out; read now."""
    choices = preferences_of(session, customers)
    # Read while the intents' transaction holds the database: where no hours hold, only who chose some is looked at.
    held = customers if rules.hold else [customer for customer in customers if customer in choices]
    people = {
        row.id: row
        for chunk in chunks(held)
        for row in session.exec(select(CustomerRow).where(col(CustomerRow.id).in_(chunk)))
    }
    numbers = _numbers(session, held) if channel in RINGING and rules.table.allowed else {}
    found: dict[str, Calendar] = {}
    for customer in held:
        row, choice = people.get(customer), choices.get(customer, NONE)
        zones = zones_of(
            stated=choice.timezone,
            imported=row.timezone if row else None,
            region=row.region if row else None,
            phone=numbers.get(customer),
            default=rules.default_zone,
        )
        found[customer] = calendar_for(
            rules.table,
            rules.timing,
            channel=channel,
            zones=zones,
            business=bool(row and row.business),
            quiet=choice.quiet,
        )
    return found


def _numbers(session: Session, customers: Sequence[str]) -> dict[str, str]:
    found: dict[str, dict[str, str]] = {}
    for chunk in chunks(customers):
        query = select(ContactPointRow.customer_id, ContactPointRow.channel, ContactPointRow.address).where(
            col(ContactPointRow.customer_id).in_(chunk), col(ContactPointRow.channel).in_(NUMBERS)
        )
        for customer, channel, address in session.exec(query):
            found.setdefault(customer, {})[channel] = address
    return {customer: next(of[c] for c in NUMBERS if c in of) for customer, of in found.items()}


def last_written(session: Session, outreach: str, customers: Sequence[str], *, since: datetime) -> dict[str, datetime]:
    """Returns when another outreach last took a place of each of these customers, as far as that was after `since`."""
    found: dict[str, datetime] = {}
    for chunk in chunks(customers):
        query = (
            select(ReservationRow.customer_id, func.max(ReservationRow.at))
            .where(
                col(ReservationRow.customer_id).in_(chunk),
                col(ReservationRow.at) > since,
                ReservationRow.outreach_id != outreach,
            )
            .group_by(col(ReservationRow.customer_id))
        )
        found.update(dict(session.exec(query).all()))
    return found
