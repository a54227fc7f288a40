"""Waves: who has a place under the frequency cap, and in which arm their cluster stands."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from tellfirst.domain.base import Frozen
from tellfirst.measurement.assignment import arm, draw
from tellfirst.policy.caps import FrequencyCap
from tellfirst.store.statements import chunks, insert_new
from tellfirst.store.tables import CustomerRow, RecipientRow, ReservationRow


class Randomisation(Frozen):
    """Is what a wave is randomised by: hold-out share, salt, t0, window and the frequency cap."""

    share: float
    salt: str
    t0: datetime
    window: timedelta
    cap: FrequencyCap
    cap_exempt: bool


def randomise_page(session: Session, outreach: str, revision: int, by: Randomisation, *, page: int) -> None:
    """Reserves places and draws arms for the rows of a page that have none, within the session's transaction."""
    # Locked, so that a second attempt on PostgreSQL waits and then finds nothing left to draw.
    rows = session.exec(
        select(RecipientRow)
        .where(
            RecipientRow.outreach_id == outreach,
            RecipientRow.revision == revision,
            RecipientRow.page == page,
            col(RecipientRow.arm).is_(None),
            col(RecipientRow.withheld).is_(None),
        )
        .order_by(col(RecipientRow.id))
        .with_for_update()
    ).all()
    customers = sorted({row.customer_id for row in rows})
    held = {} if by.cap_exempt else _held_places(session, outreach, customers, since=by.t0 - by.cap.period)
    drawn = _drawn(session, outreach, sorted({row.cluster for row in rows}))
    reserve = []
    for row in rows:
        if row.cleared_at is not None:
            row.withheld = "condition_cleared"
        elif not by.cap_exempt and not by.cap.has_room(held.get(row.customer_id, 0)):
            row.withheld = "frequency_cap"
        else:
            new = (arm(draw(by.salt, outreach, row.cluster), by.share), by.share)
            row.arm, row.share = drawn.get(row.cluster, new)
            row.t0, row.window_end = by.t0, by.t0 + by.window
            reserve.append({"customer_id": row.customer_id, "outreach_id": outreach, "at": by.t0})
        session.add(row)
    insert_new(session, ReservationRow, reserve)


def _drawn(session: Session, outreach: str, clusters: Sequence[str]) -> dict[str, tuple[str, float]]:
    # A later revision may be planned with another share; whoever was told must not count as held out.
    found: dict[str, tuple[str, float]] = {}
    for chunk in chunks(clusters):
        query = select(RecipientRow.cluster, RecipientRow.arm, RecipientRow.share).where(
            RecipientRow.outreach_id == outreach,
            col(RecipientRow.cluster).in_(chunk),
            col(RecipientRow.arm).is_not(None),
        )
        found.update({cluster: (arm or "", share or 0.0) for cluster, arm, share in session.exec(query)})
    return found


def _held_places(session: Session, outreach: str, customers: Sequence[str], *, since: datetime) -> dict[str, int]:
    # Two outreaches that randomise the same person at once must not both see the last free place. SQLite has one
    # writer anyway; PostgreSQL locks the customers, all of a page in one order, so that two pages cannot deadlock.
    session.exec(
        select(CustomerRow.id).where(col(CustomerRow.id).in_(customers)).order_by(col(CustomerRow.id)).with_for_update()
    ).all()
    held: dict[str, int] = {}
    for chunk in chunks(customers):
        query = (
            select(ReservationRow.customer_id, func.count())
            .where(
                col(ReservationRow.customer_id).in_(chunk),
                col(ReservationRow.at) > since,
                ReservationRow.outreach_id != outreach,
            )
            .group_by(col(ReservationRow.customer_id))
        )
        held.update(dict(session.exec(query).all()))
    return held
