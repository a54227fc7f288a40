"""What happens is written down for whoever is to be told, in the transaction in which it happens."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from tellfirst.domain import feed
from tellfirst.domain.feed import Happening
from tellfirst.domain.message import SendState
from tellfirst.store.statements import insert_new, table
from tellfirst.store.tables import RevisionRow, SendRow
from tellfirst.store.tables_feed import WAITING, FeedEndpointRow, FeedEventRow

_SENDS: dict[str, tuple[type[feed.Message], ...]] = {
    SendState.ACCEPTED: (feed.MessageSent,),
    SendState.DELIVERED: (feed.MessageSent, feed.MessageDelivered),
    SendState.UNDELIVERED: (feed.MessageSent, feed.MessageUndelivered),
    SendState.FAILED: (feed.MessageFailed,),
    SendState.UNKNOWN: (feed.MessageUnknown,),
}

_ENDPOINTS = select(table(FeedEndpointRow).c.name, table(FeedEndpointRow).c.types)


def tell(session: Session, *happenings: Happening, at: datetime) -> None:
    """Keeps happenings for every system that wants them, each once however often it is told; costs a look if none."""
    for name, types in _endpoints(session):
        _keep(session, name, [one for one in happenings if feed.chosen(one.type, types)], at)


def tell_sends(session: Session, sends: Sequence[str], *, at: datetime) -> None:
    """Tells how these sends stand now: what they came to before is told once only."""
    endpoints = _endpoints(session)
    if not endpoints:
        return
    # Columns and not rows: the session may hold rows as they were before.
    columns = (
        *(SendRow.id, SendRow.outreach_id, SendRow.revision, SendRow.customer_id),
        *(SendRow.step, SendRow.channel, SendRow.state, SendRow.reason),
    )
    query = select(*columns).where(col(SendRow.id).in_(sends), col(SendRow.state).in_(list(_SENDS)))  # type: ignore[call-overload]
    happened: list[Happening] = []
    plans: dict[tuple[str, int], dict[str, str]] = {}
    for id_, outreach, revision, customer, step, channel, state, reason in session.execute(query.order_by(SendRow.id)):
        if (outreach, revision) not in plans:
            row = session.get(RevisionRow, (outreach, revision))
            plans[outreach, revision] = (row.plan if row else None) or {}
        plan = plans[outreach, revision]
        given = {
            "customer": customer,
            "outreach": outreach,
            "playbook": plan.get("playbook", ""),
            "reason_code": plan.get("reason_code", ""),
            "step": step,
            "channel": channel,
            "send": id_,
            "why": reason,
        }
        happened.extend(kind.model_validate(given) for kind in _SENDS[state])
    for name, types in endpoints:
        _keep(session, name, [one for one in happened if feed.chosen(one.type, types)], at)


def _endpoints(session: Session) -> list[tuple[str, list[str]]]:
    # Past the session, which would cost more than the query: this is asked beside every micro-batch.
    return [(name, types) for name, types in session.connection().execute(_ENDPOINTS)]


def _keep(session: Session, endpoint: str, happenings: Sequence[Happening], at: datetime) -> None:
    rows = []
    for one in happenings:
        data = one.model_dump(mode="json")
        rows.append(
            {
                "endpoint": endpoint,
                "event_id": f"evt_{hashlib.sha256(f'{one.type}|{one.key}'.encode()).hexdigest()[:32]}",
                "type": one.type,
                "outreach_id": data.get("outreach") or data.get("about", ""),
                "customer_id": data.pop("customer", ""),  # once, where it is forgotten
                "at": at,
                "data": data,
                "state": WAITING,
                "attempts": 0,
                "refused": False,
                "detail": "",
            }
        )
    insert_new(session, FeedEventRow, rows)
