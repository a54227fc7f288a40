"""Who gets a step: the recipients of a page for whom a send of it is planned."""

from typing import Any

from sqlalchemy import Select
from sqlmodel import select

from tellfirst.domain.message import SendState
from tellfirst.domain.plan import INITIAL, RESOLVED, UNPLANNED
from tellfirst.domain.recipient import ELIGIBLE
from tellfirst.store.leases import PageKey
from tellfirst.store.statements import table
from tellfirst.store.tables import RecipientRow, SendRow

RECEIVED = (SendState.ACCEPTED, SendState.DELIVERED)
"""States of a first message that a follow-up may refer to."""


def recipients_of(key: PageKey, *, kind: str, channel: str) -> Select[tuple[Any, ...]]:
    """Returns the query for (recipient id, position, customer) of those on a page who get a step, in their order.

    Those are its treated recipients, and of promised steps only who got the first message.
    """
    row, first = table(RecipientRow), table(SendRow).alias("first")
    query = select(row.c.id, row.c.position, row.c.customer_id).where(
        row.c.outreach_id == key.outreach,
        row.c.revision == key.revision,
        row.c.page == key.page,
        row.c.channel == channel,  # planned under another one too, they would be told twice
        row.c.arm == "treated",
        row.c.verdict == ELIGIBLE,
    )
    if kind != INITIAL and kind not in UNPLANNED:
        # A recipient's sends stand on its own page: saying so keeps the look-up short however many there are.
        mine = (
            first.c.recipient_id == row.c.id,
            first.c.outreach_id == key.outreach,
            first.c.revision == key.revision,
            first.c.page == key.page,
        )
        told = select(first.c.id).where(*mine, first.c.step == INITIAL, first.c.state.in_(RECEIVED)).exists()
        over = (first.c.step == RESOLVED, first.c.state != SendState.WITHHELD)
        ended = select(first.c.id).where(*mine, *over).exists()
        query = query.where(told, ~ended if kind == "update" else row.c.cleared_at.is_not(None))
        if kind == "update":
            query = query.where(row.c.cleared_at.is_(None))
    return query.order_by(row.c.position)
