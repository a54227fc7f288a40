"""Rows of an audience as the domain knows them: a recipient on the channel of choice, or on an alternate one."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, and_
from sqlmodel import col

from tellfirst.domain.message import Channel
from tellfirst.domain.recipient import Recipient
from tellfirst.store.tables import RecipientRow, SendRow
from tellfirst.store.tables_alternates import AlternateRow

SHOWN = (
    *("id", "position", "customer_id", "subject_key", "channel", "locale", "timezone", "facts", "others"),
    *("address_digest", "content_digest", "leaf", "verdict", "cleared_at", "promises"),
)
"""The columns of a recipient that the domain knows."""


def read_recipient(row: RecipientRow | Row[Any], alternate: AlternateRow | None = None) -> Recipient:
    """Returns a recipient as the domain knows them; with `alternate` as they are told by that channel.

    `row` may be one of the bare table: over a great audience the objects of the mapper cost more than all else.
    """
    place = row if alternate is None else alternate
    return Recipient(
        id=place.id or 0,
        position=row.position,
        customer=row.customer_id,
        subject_key=row.subject_key,
        channel=cast("Channel", place.channel),  # the model checks it
        locale=place.locale or "",
        timezone=row.timezone,
        facts=row.facts,
        others=row.others,
        address_digest=place.address_digest or "",
        content_digest=place.content_digest or "",
        leaf=place.leaf or "",
        verdict=row.verdict,
        cleared_at=row.cleared_at,
        rank=0 if alternate is None else alternate.rank,
        promises={step: datetime.fromisoformat(at) for step, at in (row.promises or {}).items()},
    )


def of_recipient() -> ColumnElement[bool]:
    """Returns the condition that joins a recipient with their alternates."""
    return and_(
        col(AlternateRow.outreach_id) == col(RecipientRow.outreach_id),
        col(AlternateRow.revision) == col(RecipientRow.revision),
        col(AlternateRow.position) == col(RecipientRow.position),
    )


def of_send() -> ColumnElement[bool]:
    """Returns the condition that joins a send and its recipient with the alternate that it goes by, if it does."""
    return and_(of_recipient(), col(AlternateRow.channel) == col(SendRow.channel))
