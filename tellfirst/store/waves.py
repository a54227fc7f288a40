"""Waves: whose slot has come, who has a place under the frequency cap, and in which arm their cluster stands."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import Row, func
from sqlmodel import Session, col, select, update

from tellfirst.domain.message import Channel
from tellfirst.domain.outcome import Arm
from tellfirst.measurement.assignment import HeldBy
from tellfirst.policy.caps import FrequencyCap, Urgency, counted_against
from tellfirst.policy.hours import ALWAYS, Calendar
from tellfirst.policy.slots import APART, slot
from tellfirst.store.assignments import Assigned, Drawing, Place, assign
from tellfirst.store.statements import chunks, insert_new, table
from tellfirst.store.tables import CustomerRow, PageRow, RecipientRow, ReservationRow
from tellfirst.store.whereabouts import HourRules, calendars_of, last_written


class Randomisation(Drawing):
    """Is what a wave is randomised by: the draw, the window, the frequency cap, and whose hour has come.

    Without `hours` everybody may be told at any.
    """

    window: timedelta
    cap: FrequencyCap
    cap_exempt: bool
    urgency: Urgency = "normal"
    not_after: datetime = datetime.max.replace(tzinfo=UTC)
    hours: HourRules | None = None


def randomise_page(session: Session, outreach: str, revision: int, by: Randomisation, *, page: int) -> list[datetime]:
    """Reserves places and draws arms for the rows of a page whose slot has come, within the session's transaction.

    Returns when each of the others may be looked at again.
    """
    recipient = table(RecipientRow).c
    # Locked, so that a second attempt on PostgreSQL waits and then finds nothing left to draw.
    rows = session.execute(
        select(*(recipient[name] for name in ("id", "customer_id", "cluster", "channel", "cleared_at")))
        .where(
            recipient.outreach_id == outreach,
            recipient.revision == revision,
            recipient.page == page,
            recipient.arm.is_(None),
            recipient.withheld.is_(None),
        )
        .order_by(recipient.id)
        .with_for_update()
    ).all()
    customers = sorted({row.customer_id for row in rows})
    _lock(session, customers)
    held = {} if by.cap_exempt else _held_places(session, outreach, customers, by)
    slots = _slots(session, outreach, rows, by)
    due, waiting = [], []
    withheld: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        slot_of = slots[row.customer_id]
        if row.cleared_at is not None:
            withheld["condition_cleared"].append(row.id)
        elif isinstance(slot_of, str):
            withheld[slot_of].append(row.id)
        elif slot_of > by.t0:
            waiting.append(slot_of)
        elif not by.cap_exempt and not by.cap.has_room(held.get(row.customer_id, 0)):
            withheld["frequency_cap"].append(row.id)
        else:
            due.append(row)
    for reason, ids in withheld.items():
        session.execute(update(RecipientRow).where(col(RecipientRow.id).in_(ids)).values(withheld=reason))
    drawn = _drawn(session, outreach, revision, page, due, by)
    alike: dict[tuple[Arm, float, HeldBy | None], list[int]] = defaultdict(list)
    for row in due:
        own = drawn[row.cluster]
        if own.phase and own.told_at > by.t0:
            waiting.append(own.told_at)
        else:
            alike[own.arm, own.chance, own.held_by].append(row.id)
    for (arm, chance, held_by), ids in alike.items():
        values = {"arm": arm, "share": chance, "held_by": held_by, "t0": by.t0, "window_end": by.t0 + by.window}
        # By what is alike: an update for each row takes as long as everything else here.
        session.execute(update(RecipientRow).where(col(RecipientRow.id).in_(ids)).values(**values))
    reserve = [
        {"customer_id": row.customer_id, "outreach_id": outreach, "at": by.t0, "urgency": by.urgency} for row in due
    ]
    insert_new(session, ReservationRow, reserve)
    return waiting


def _slots(session: Session, outreach: str, rows: Sequence[Row[Any]], by: Randomisation) -> dict[str, datetime | str]:
    customers = sorted({row.customer_id for row in rows})
    last = {} if by.urgency == "urgent" else last_written(session, outreach, customers, since=by.t0 - APART)
    calendars: dict[str, Calendar] = {}
    if by.hours is not None:
        for channel in sorted({row.channel for row in rows if row.channel}):
            on_it = [row.customer_id for row in rows if row.channel == channel]
            calendars |= calendars_of(session, on_it, cast("Channel", channel), by.hours)
    return {
        customer: slot(calendars.get(customer, ALWAYS), by.t0, not_after=by.not_after, last=last.get(customer))
        for customer in customers
    }


def _drawn(
    session: Session, outreach: str, revision: int, page: int, due: Sequence[Row[Any]], by: Randomisation
) -> dict[str, Assigned]:
    if not due:
        return {}
    frozen = session.exec(
        select(PageRow.digest).where(
            PageRow.outreach_id == outreach, PageRow.revision == revision, PageRow.number == page
        )
    )
    place = Place(outreach=outreach, revision=revision, eligibility=frozen.first() or "")
    return assign(session, sorted({row.cluster for row in due}), by, place)


def _lock(session: Session, customers: Sequence[str]) -> None:
    # Two outreaches that randomise the same person at once must not both see the last free place. SQLite has one
    # writer anyway; PostgreSQL locks the customers, all of a page in one order, so that two pages cannot deadlock.
    session.exec(
        select(CustomerRow.id).where(col(CustomerRow.id).in_(customers)).order_by(col(CustomerRow.id)).with_for_update()
    ).all()


def _held_places(session: Session, outreach: str, customers: Sequence[str], by: Randomisation) -> dict[str, int]:
    held: dict[str, int] = {}
    for chunk in chunks(customers):
        query = (
            select(ReservationRow.customer_id, func.count())
            .where(
                col(ReservationRow.customer_id).in_(chunk),
                col(ReservationRow.at) > by.t0 - by.cap.period,
                col(ReservationRow.urgency).in_(counted_against(by.urgency)),
                ReservationRow.outreach_id != outreach,
            )
            .group_by(col(ReservationRow.customer_id))
        )
        held.update(dict(session.exec(query).all()))
    return held
