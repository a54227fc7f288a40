"""What became of the first few: their messages, who opted out, who made contact since."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.store.engine import Database
from tellfirst.store.tables import ConsentRow, ContactRow, RecipientRow, SendRow

Where = Sequence[ColumnElement[bool]]


class Figures(Frozen):
    """Counts what became of the first few; contacts and opt-outs are people of either arm, since they were drawn."""

    recipients: int
    held_out: int
    states: dict[str, int]
    opted_out: int
    contacts: int
    contacts_about: int


class Canaries:
    """Counts what became of the first few of a revision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def figures(self, outreach: str, revision: int, *, pages: int, step: str, reason_code: str) -> Figures:
        """Returns the figures of the first `pages` pages: of the messages of `step`, and of contacts about a reason."""
        row = (
            col(RecipientRow.outreach_id) == outreach,
            col(RecipientRow.revision) == revision,
            col(RecipientRow.page) < pages,
        )
        contact = (
            *row,
            col(ContactRow.customer_id) == col(RecipientRow.customer_id),
            col(ContactRow.occurred_at) >= col(RecipientRow.t0),
        )
        said_no = (
            *row,
            col(ConsentRow.customer_id) == col(RecipientRow.customer_id),
            col(ConsentRow.allowed).is_(False),
            col(ConsentRow.at) >= col(RecipientRow.t0),
        )
        return Figures(
            recipients=self._people(row),
            held_out=self._people((*row, col(RecipientRow.arm) == "control")),
            states=self._states(outreach, revision, pages, step),
            opted_out=self._people(said_no),
            contacts=self._people(contact),
            contacts_about=self._people((*contact, col(ContactRow.reason_code) == reason_code)),
        )

    def _people(self, where: Where) -> int:
        query = select(func.count(func.distinct(col(RecipientRow.id)))).where(*where)
        with self._database.read() as session:
            return session.exec(query).one()

    def _states(self, outreach: str, revision: int, pages: int, step: str) -> dict[str, int]:
        query = (
            select(SendRow.state, func.count())
            .where(
                SendRow.outreach_id == outreach,
                SendRow.revision == revision,
                SendRow.step == step,
                col(SendRow.page) < pages,
            )
            .group_by(col(SendRow.state))
            .order_by(col(SendRow.state))
        )
        with self._database.read() as session:
            return {SendState(state).value: count for state, count in session.exec(query)}
