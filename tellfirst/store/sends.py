"""The effect log: leases with fencing tokens, intents before requests, answers after them, one row for one send."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, bindparam, case, func
from sqlmodel import Session, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel, SendState
from tellfirst.domain.recipient import Recipient
from tellfirst.policy.gate import RowFacts
from tellfirst.policy.hours import ALWAYS
from tellfirst.policy.slots import TOO_LATE
from tellfirst.policy.verdict import TOLD_BEFORE, Verdict
from tellfirst.store.alternates import sent_on, told_before, turns
from tellfirst.store.doubts import Settlement, settle_batch
from tellfirst.store.engine import Database
from tellfirst.store.gate_facts import Switches, read_facts, read_switches
from tellfirst.store.leases import PageKey, hold_lease
from tellfirst.store.opening import recipients_of
from tellfirst.store.repeats import Repeat, plan_again
from tellfirst.store.rows import of_send, read_recipient
from tellfirst.store.statements import insert_new, table
from tellfirst.store.tables import RecipientRow, SendRow
from tellfirst.store.tables_alternates import AlternateRow
from tellfirst.store.whereabouts import HourRules, calendars_of

WAITING = (SendState.PLANNED, SendState.DEFERRED)
"""States of a message that nobody was asked to send."""
_SENDS = table(SendRow)
NEXT = (
    select(SendRow.id, SendRow.attempts, SendRow.intent_at, RecipientRow, AlternateRow)  # type: ignore[call-overload]
    .join(RecipientRow, col(RecipientRow.id) == col(SendRow.recipient_id))
    .join(AlternateRow, of_send(), isouter=True)
    .where(
        *(_SENDS.c[f"{name}_id" if name == "outreach" else name] == bindparam(name) for name in PageKey.model_fields),
        (_SENDS.c.state == SendState.PLANNED)
        | ((_SENDS.c.state == SendState.DEFERRED) & (_SENDS.c.deferred_until <= bindparam("now"))),
        _SENDS.c.channel == func.coalesce(AlternateRow.channel, RecipientRow.channel),
    )
    .order_by(col(RecipientRow.position))
    .limit(bindparam("limit"))
)
INTEND = (
    update(_SENDS)
    .where(_SENDS.c.id.in_(bindparam("ids", expanding=True)), _SENDS.c.state.in_(WAITING))
    .values(
        state=SendState.INTENT,
        deferred_until=None,
        token=bindparam("with"),
        attempts=_SENDS.c.attempts + 1,
        # Of one in doubt the first request counts: the provider's key is as old as that.
        intent_at=func.coalesce(_SENDS.c.intent_at, bindparam("at", type_=_SENDS.c.intent_at.type)),
        not_after=bindparam("latest"),
        nonce=bindparam("once"),
        adapter=bindparam("by"),
    )
    .returning(_SENDS.c.id)
)
"""What every micro-batch begins with, written once: to write a statement takes longer than to run it."""


class PlannedSend(Frozen):
    """Is one send that may be next; `in_doubt` when an earlier request may have left, which only its key allows."""

    id: str
    recipient: Recipient
    attempts: int
    in_doubt: bool = False


class Tally(Frozen):
    """Counts sends by state; `in_doubt` are intents without an answer."""

    planned: int = 0
    withheld: int = 0
    accepted: int = 0
    failed: int = 0
    unknown: int = 0
    in_doubt: int = 0
    deferred: int = 0


class StateCount(Frozen):
    """Counts the sends of one step that stand in one state for one reason.

    What was lost and then `sent_on` by another channel is told there.
    """

    step: str
    channel: str
    state: SendState
    reason: str
    count: int
    sent_on: bool = False


class Sends:
    """Keeps the effect log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- one page

    def open_page(self, key: PageKey, *, kind: str, channel: str, repeat: Repeat | None, token: int) -> None:
        """Plans the sends of a page: its treated recipients, and of promised steps only who got the first message.

        Intents of earlier tokens are planned again where they may be asked for again (`repeat`); the others, and
        without it all, stay in doubt until they are reconciled.
        """
        with self._database.write() as session:
            hold_lease(session, key, token)
            insert_new(
                session,
                SendRow,
                [
                    {
                        "id": send_id(key.outreach, key.revision, position, key.step, channel),
                        "outreach_id": key.outreach,
                        "revision": key.revision,
                        "recipient_id": recipient,
                        "customer_id": customer,
                        "step": key.step,
                        "channel": channel,
                        "page": key.page,
                        "state": SendState.PLANNED,
                    }
                    for recipient, position, customer in _who(session, key, kind, channel)
                ],
            )
            plan_again(session, _sends_of(key), repeat, token)

    def planned(self, key: PageKey, limit: int, *, now: datetime | None = None) -> list[PlannedSend]:
        """Returns the next sends of a page in the order of the audience, each on a channel of its recipient.

        Those that were deferred are among them where their hour has come by `now`.
        """
        asked = {
            "outreach": key.outreach,
            "revision": key.revision,
            "step": key.step,
            "page": key.page,
            "now": now,
            "limit": limit,
        }
        with self._database.read() as session:
            return [
                PlannedSend(id=id_, recipient=read_recipient(row, by), attempts=attempts, in_doubt=asked_at is not None)
                for id_, attempts, asked_at, row, by in session.execute(NEXT, asked)
            ]

    def intend(
        self,
        key: PageKey,
        token: int,
        sends: Sequence[PlannedSend],
        *,
        channel: str,
        adapter: str,
        nonce: str,
        now: datetime,
        lease_until: Callable[[], datetime],
        not_after: datetime,
        judge: Callable[[Switches, dict[str, RowFacts]], dict[str, Verdict] | str],
        facts: Callable[[PlannedSend, str | None], tuple[bool, bool, bool]],
        hours: HourRules | None = None,
    ) -> dict[str, str] | str:
        """Gates a micro-batch on facts read now and commits its intents, in one transaction under the token.

        `facts` says of a send and its current address whether the condition holds, the address is unchanged and the
        content is; `judge` turns all facts into verdicts, or into the reason why the page halts. Returns the address
        of each send that may leave, or that reason; without `hours` any hour will do. `lease_until` is asked for once
        the transaction is ours. Raises FencedOffError when the page belongs to another worker.
        """
        with self._database.write() as session:
            session.connection()  # SQLite waits for its turn here: the lease counts from when it has come
            hold_lease(session, key, token, until=lease_until())
            customers = [s.recipient.customer for s in sends]
            known = read_facts(session, key.outreach, channel, customers)
            calendars = {} if hours is None else calendars_of(session, customers, cast("Channel", channel), hours)
            further = [send.id for send in sends if send.recipient.rank]
            needless = told_before(session, further) if further else set()
            rows: dict[str, RowFacts] = {}
            for send in sends:
                about = known[send.recipient.customer]
                holds, same_address, same_content = facts(send, about.address)
                rows[send.id] = RowFacts(
                    condition_holds=holds,
                    address=about.address,
                    address_usable=about.usable,
                    address_unchanged=same_address,
                    content_unchanged=same_content,
                    consents=about.consents,
                    held=about.held,
                    told_before=send.id in needless,
                    reserved=about.reserved,
                    calendar=calendars.get(send.recipient.customer, ALWAYS),
                )
            verdicts = judge(read_switches(session, key.outreach, channel), rows)
            if isinstance(verdicts, str):
                return verdicts
            self._set_aside(session, verdicts, now)
            allowed = [send.id for send in sends if verdicts[send.id].kind == "allow"]
            if not allowed:
                return {}
            intended = session.execute(
                INTEND,
                {"ids": allowed, "with": token, "at": now, "latest": not_after, "once": nonce, "by": adapter},
            )
            # Only what was still planned is ours to send, and to whom the audience says, not the effect log.
            ours = set(intended.scalars())
            return {send.id: known[send.recipient.customer].address or "" for send in sends if send.id in ours}

    def _set_aside(self, session: Session, verdicts: dict[str, Verdict], now: datetime) -> None:
        # What may have left already was not withheld, whatever holds now.
        aside = case((col(SendRow.intent_at).is_not(None), SendState.INTENT), else_=SendState.WITHHELD)
        alike: dict[Verdict, list[str]] = {}
        for id_, verdict in verdicts.items():
            if verdict.kind != "allow":
                alike.setdefault(verdict, []).append(id_)
        for verdict, ids in alike.items():
            until = verdict.until
            values: dict[str, object] = {
                "state": SendState.DEFERRED if until else aside,
                "deferred_until": until,
            }
            session.execute(
                update(SendRow)
                .where(col(SendRow.id).in_(ids), col(SendRow.state).in_(WAITING))
                .values(reason=verdict.reason, settled_at=None if until else now, **values)
            )

    def settle(
        self, key: PageKey, token: int, settlements: Sequence[Settlement], bodies: dict[str, str], *, now: datetime
    ) -> None:
        """Commits the answers of a micro-batch under the token; a send left in doubt keeps its intent."""
        with self._database.write() as session:
            hold_lease(session, key, token)
            settle_batch(session, settlements, now=now, bodies=bodies)

    def tally(self, outreach: str, *, step: str | None = None, page: PageKey | None = None) -> Tally:
        """Counts the sends of an outreach, of one step of it, or of one page.

        Beyond a page, of a message that was sent on by another channel only the last send counts.
        """
        query = select(SendRow.state, func.count()).group_by(col(SendRow.state))
        if page is not None:
            query = query.where(*_sends_of(page))
        else:
            query = query.where(SendRow.outreach_id == outreach, SendRow.reason != TOLD_BEFORE, ~sent_on())
            if step is not None:
                query = query.where(SendRow.step == step)
        with self._database.read() as session:
            counts = {SendState(state): n for state, n in session.exec(query)}
        return Tally(
            planned=counts.get(SendState.PLANNED, 0),
            deferred=counts.get(SendState.DEFERRED, 0),
            withheld=counts.get(SendState.WITHHELD, 0),
            accepted=counts.get(SendState.ACCEPTED, 0) + counts.get(SendState.DELIVERED, 0),
            failed=counts.get(SendState.FAILED, 0) + counts.get(SendState.UNDELIVERED, 0),
            unknown=counts.get(SendState.UNKNOWN, 0),
            in_doubt=counts.get(SendState.INTENT, 0),
        )

    def next_hour(self, key: PageKey) -> datetime | None:
        """Returns when the first of a page's deferred sends may leave; None when none waits."""
        query = select(func.min(SendRow.deferred_until)).where(
            *_sends_of(key), col(SendRow.state) == SendState.DEFERRED
        )
        with self._database.read() as session:
            return session.exec(query).one()

    def too_late(self, key: PageKey) -> int:
        """Returns how many messages of a page were withheld because it was too late for them."""
        query = select(func.count()).where(
            *_sends_of(key), col(SendRow.state) == SendState.WITHHELD, col(SendRow.reason) == TOO_LATE
        )
        with self._database.read() as session:
            return session.exec(query).one()

    def states(self, outreach: str) -> list[StateCount]:
        """Counts the sends of an outreach by step, channel, state and reason, and whether they were sent on."""
        kinds = (col(SendRow.step), col(SendRow.channel), col(SendRow.state), col(SendRow.reason), sent_on())
        query = (
            select(*kinds, func.count())  # type: ignore[call-overload]
            .where(SendRow.outreach_id == outreach)
            .group_by(*kinds)
            .order_by(*kinds)
        )
        with self._database.read() as session:
            return [
                StateCount(
                    step=step, channel=channel, state=SendState(state), reason=reason, sent_on=bool(on), count=count
                )
                for step, channel, state, reason, on, count in session.exec(query)
            ]


def send_id(outreach: str, revision: int, position: int, step: str, channel: str) -> str:
    """Returns the opaque id of a send: the same for every attempt, and the provider's idempotency key."""
    text = f"{outreach}|{revision}|{position}|{step}|{channel}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _who(session: Session, key: PageKey, kind: str, channel: str) -> Sequence[tuple[int, int, str]]:
    """Returns (recipient id, position, customer) of those on a page who get a step."""
    if rows := session.execute(recipients_of(key, kind=kind, channel=channel)).all():
        return [(recipient, position, customer) for recipient, position, customer in rows]
    mine = turns(session, key.outreach, key.revision, key.step, kind=kind, page=key.page)
    return [(one.recipient, one.position, one.customer) for one in mine if one.channel == channel]


def _sends_of(key: PageKey) -> tuple[ColumnElement[bool], ...]:
    return (
        col(SendRow.outreach_id) == key.outreach,
        col(SendRow.revision) == key.revision,
        col(SendRow.step) == key.step,
        col(SendRow.page) == key.page,
    )
