"""What is in doubt and may be asked for again: a provider drops a second request for as long as it keeps its key."""

from datetime import datetime

from sqlalchemy import ColumnElement, false
from sqlmodel import Session, col, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.store.tables import SendRow


class Repeat(Frozen):
    """Says what may be asked for again: what this adapter itself was first asked for at `since` or later."""

    adapter: str
    since: datetime


def plan_again(session: Session, those: tuple[ColumnElement[bool], ...], repeat: Repeat | None, token: int) -> None:
    """Plans again `those` sends in doubt that may be asked for again; what no longer may goes back into doubt.

    An intent under this token is still on its way.
    """
    state, asked_at = col(SendRow.state), col(SendRow.intent_at)
    may = false() if repeat is None else (col(SendRow.adapter) == repeat.adapter) & (asked_at >= repeat.since)
    waits = state.in_((SendState.PLANNED, SendState.DEFERRED)) & asked_at.is_not(None)
    session.execute(update(SendRow).where(*those, waits, ~may).values(state=SendState.INTENT))
    doubted = (state == SendState.INTENT) & (col(SendRow.token) < token)
    session.execute(update(SendRow).where(*those, doubted, may).values(state=SendState.PLANNED))
