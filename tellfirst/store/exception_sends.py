"""The sends that answer exceptions: rows of the effect log, one for each request, beside those of the planned steps.

Their step is the name of the request, `exception/…`, which no step of a playbook can have.
"""

from sqlmodel import col, select

from tellfirst.contract import exception_id
from tellfirst.domain.message import SendState
from tellfirst.store.engine import Database
from tellfirst.store.leases import PageKey, hold_lease
from tellfirst.store.repeats import Repeat, plan_again
from tellfirst.store.sends import send_id
from tellfirst.store.statements import insert_new
from tellfirst.store.tables import RecipientRow, SendRow


class ExceptionSends:
    """Plans answers in the effect log; they are gated, intended and settled like every other send."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def key_of(self, recipient: int, request: str, *, outreach: str, customer: str, channel: str) -> PageKey | None:
        """Returns under which key the answer stands, None unless its recipient is that customer on a page there."""
        with self._database.read() as session:
            row = session.get(RecipientRow, recipient)
        if row is None or row.page is None or (row.outreach_id, row.customer_id) != (outreach, customer):
            return None
        if row.channel != channel:
            return None  # planned under another one too, they would be answered twice
        return PageKey(outreach=row.outreach_id, revision=row.revision, step=exception_id(request), page=row.page)

    def open(self, key: PageKey, recipient: int, channel: str, *, repeat: Repeat | None, token: int) -> None:
        """Plans the answer, once; an intent of an earlier token is planned again where it may be asked for again."""
        with self._database.write() as session:
            hold_lease(session, key, token)
            row = session.get_one(RecipientRow, recipient)
            planned = {
                "id": send_id(key.outreach, key.revision, row.position, key.step, channel),
                "outreach_id": key.outreach,
                "revision": key.revision,
                "recipient_id": recipient,
                "customer_id": row.customer_id,
                "step": key.step,
                "channel": channel,
                "page": key.page,
                "state": SendState.PLANNED,
            }
            insert_new(session, SendRow, [planned])
            its = (col(SendRow.outreach_id) == key.outreach, col(SendRow.step) == key.step)
            plan_again(session, its, repeat, token)

    def state(self, key: PageKey) -> tuple[SendState, str]:
        """Returns how the answer stands, and why."""
        query = select(SendRow.state, SendRow.reason).where(
            SendRow.outreach_id == key.outreach, SendRow.step == key.step
        )
        with self._database.read() as session:
            state, reason = session.exec(query).one()
        return SendState(state), reason
