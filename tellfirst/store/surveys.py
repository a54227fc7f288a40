"""Surveys: who is drawn to be asked once an outreach has closed, and the sends by which they are.

The step of such a send is `survey/` and its kind, which no step of a playbook can be named.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, func
from sqlmodel import Session, col, select

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel, SendState
from tellfirst.domain.survey import SurveyKind
from tellfirst.policy.caps import FrequencyCap
from tellfirst.store.engine import Database
from tellfirst.store.leases import PageKey, hold_lease
from tellfirst.store.repeats import Repeat, plan_again
from tellfirst.store.rows import read_recipient
from tellfirst.store.sends import PlannedSend, send_id
from tellfirst.store.statements import alone, chunks, insert_new
from tellfirst.store.tables import CustomerRow, OutreachRow, RecipientRow, ReservationRow, SendRow
from tellfirst.store.tables_surveys import SurveyedRow, SurveyRow

STEP = "survey/"
APART = timedelta(days=90)
"""Nobody is asked more often, whatever the outreach."""
OPEN_FOR = timedelta(days=30)
"""How long after an outreach has closed its survey may still begin."""
ASKED_LATELY = "asked_lately"
URGENCY = "survey"
"""Of no class: a question waits for what customers are told, and nothing of that waits for a question."""
_OPEN = (SendState.PLANNED, SendState.DEFERRED, SendState.INTENT)


class Due(Frozen):
    """Is one recipient, of either arm, whose window has ended so long ago that they may be asked."""

    recipient: int
    position: int
    customer: str
    cluster: str


class Chosen(Frozen):
    """Is one who was drawn: by which channel they are asked in which locale, or the reason why they are not."""

    due: Due
    channel: Channel | None = None
    locale: str = ""
    reason: str = ""


class SurveyPage(Frozen):
    """Is some of those who are asked, by one channel, until `not_after`."""

    outreach: str
    number: int
    revision: int
    kind: SurveyKind
    channel: Channel
    not_after: datetime

    @property
    def key(self) -> PageKey:
        """Returns under which key its sends stand in the effect log."""
        return PageKey(outreach=self.outreach, revision=self.revision, step=STEP + self.kind, page=self.number)


class Surveys:
    """Keeps who was drawn to be asked; what is asked is gated, intended and settled like every other send."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- which outreaches

    def waiting(self, *, now: datetime, limit: int = 200) -> list[str]:
        """Returns the outreaches that were measured and of which nobody has looked yet whether they have a survey.

        One that was aborted is not among them.
        """
        query = (
            select(OutreachRow.id)
            .where(
                OutreachRow.ending == "measured",
                col(OutreachRow.paused).is_(False),
                col(OutreachRow.closed_at) > now - OPEN_FOR,
                ~exists().where(col(SurveyedRow.outreach_id) == col(OutreachRow.id)),
            )
            .order_by(col(OutreachRow.closed_at), col(OutreachRow.id))
            .limit(limit)
        )
        with self._database.read() as session:
            return list(session.exec(query))

    def begin(self, outreach: str, kind: str, *, at: datetime) -> None:
        """Records that the survey of an outreach has begun, or with an empty `kind` that it has none."""
        with self._database.write() as session:
            insert_new(session, SurveyedRow, [{"outreach_id": outreach, "kind": kind, "at": at}])

    # -- whom

    def due(
        self, outreach: str, revision: int, *, since: datetime | None, until: datetime, after: int, limit: int
    ) -> list[Due]:
        """Returns those, from the row `after` on, whose window ended by `until` and not by `since`, and who wait."""
        ended = (col(RecipientRow.window_end) <= until, col(RecipientRow.arm).is_not(None))
        query = (
            select(RecipientRow.id, RecipientRow.position, RecipientRow.customer_id, RecipientRow.cluster)
            .where(
                RecipientRow.outreach_id == outreach,
                RecipientRow.revision == revision,
                col(RecipientRow.id) > after,
                *ended,
                ~exists().where(col(SurveyRow.recipient_id) == col(RecipientRow.id)),
            )
            .order_by(col(RecipientRow.id))
            .limit(limit)
        )
        if since is not None:
            query = query.where(col(RecipientRow.window_end) > since)
        with self._database.read() as session:
            return [
                Due(recipient=id_ or 0, position=position, customer=customer, cluster=cluster)
                for id_, position, customer, cluster in session.exec(query)
            ]

    def next_end(self, outreach: str, revision: int, *, until: datetime) -> datetime | None:
        """Returns when the first window ends after `until`."""
        query = select(func.min(RecipientRow.window_end)).where(
            RecipientRow.outreach_id == outreach,
            RecipientRow.revision == revision,
            col(RecipientRow.window_end) > until,
            col(RecipientRow.arm).is_not(None),
        )
        with self._database.read() as session:
            return session.exec(query).one()

    def draw(
        self,
        outreach: str,
        revision: int,
        chosen: Sequence[Chosen],
        *,
        kind: SurveyKind,
        cap: FrequencyCap,
        at: datetime,
        not_after: datetime,
    ) -> None:
        """Keeps who was drawn, once, and plans their sends: of one customer one, and none asked or told too often.

        Both arms alike: what is looked at holds for whoever was told and whoever was not.
        """
        with self._database.write() as session:
            alone(session, STEP + outreach)
            customers = sorted({one.due.customer for one in chosen})
            # Two outreaches that ask the same person at once must not both find that nobody has.
            by_name = select(CustomerRow.id).where(col(CustomerRow.id).in_(customers)).order_by(col(CustomerRow.id))
            session.exec(by_name.with_for_update()).all()
            here = select(SurveyRow.customer_id).where(SurveyRow.outreach_id == outreach)
            known = set(session.exec(here.where(col(SurveyRow.customer_id).in_(customers))))
            lately = _asked_since(session, customers, at - APART)
            held = _places(session, customers, at - cap.period)
            first = session.exec(select(func.max(SurveyRow.page)).where(SurveyRow.outreach_id == outreach)).one()
            pages: dict[str, int] = {}
            rows: list[dict[str, Any]] = []
            for one in chosen:
                due, reason = one.due, one.reason
                if due.customer in known:  # by another row of theirs
                    continue
                known.add(due.customer)
                if not reason and due.customer in lately:
                    reason = ASKED_LATELY
                if not reason and not cap.has_room(held.get(due.customer, 0)):
                    reason = "frequency_cap"
                row = {
                    "outreach_id": outreach,
                    "recipient_id": due.recipient,
                    "customer_id": due.customer,
                    "kind": kind,
                    "reason": reason,
                    "revision": revision,
                    "page": None,
                    "channel": None,
                    "locale": None,
                    "send_id": None,
                    "drawn_at": at,
                    "not_after": not_after,
                }
                if not reason and one.channel is not None:
                    page = pages.setdefault(one.channel, (-1 if first is None else first) + 1 + len(pages))
                    id_ = send_id(outreach, revision, due.position, STEP + kind, one.channel)
                    row |= {"page": page, "channel": one.channel, "locale": one.locale, "send_id": id_}
                rows.append(row)
            insert_new(session, SurveyRow, rows)
            asked = [row for row in rows if row["send_id"] is not None]
            insert_new(session, SendRow, [_send_of(row) for row in asked])
            insert_new(session, ReservationRow, [_place_of(row) for row in asked])

    # -- asking

    def pages(self, outreach: str) -> list[SurveyPage]:
        """Returns the pages on which somebody is still to be asked, or may have been."""
        still = (SurveyRow.outreach_id == outreach, col(SendRow.state).in_(_OPEN))
        return self._pages(*still)

    def page(self, outreach: str, number: int) -> SurveyPage | None:
        """Returns one page, None when there is none of that number."""
        found = self._pages(SurveyRow.outreach_id == outreach, SurveyRow.page == number)
        return found[0] if found else None

    def open_page(self, page: SurveyPage, *, repeat: Repeat | None, token: int) -> None:
        """Plans again what an earlier token left in doubt and may be asked for again."""
        with self._database.write() as session:
            hold_lease(session, page.key, token)
            plan_again(session, _sends_of(page), repeat, token)

    def planned(self, page: SurveyPage, limit: int, *, now: datetime) -> list[PlannedSend]:
        """Returns the next sends of a page in the order of the audience, also those whose hour has come by `now`."""
        state = col(SendRow.state)
        due = (state == SendState.PLANNED) | ((state == SendState.DEFERRED) & (col(SendRow.deferred_until) <= now))
        query = (
            select(SendRow.id, SendRow.attempts, SendRow.intent_at, SurveyRow.locale, RecipientRow)  # type: ignore[call-overload]
            .join(SurveyRow, col(SurveyRow.send_id) == col(SendRow.id))
            .join(RecipientRow, col(RecipientRow.id) == col(SendRow.recipient_id))
            .where(*_sends_of(page), due)
            .order_by(col(RecipientRow.position))
            .limit(limit)
        )
        with self._database.read() as session:
            return [
                PlannedSend(
                    id=id_,
                    # Asked by another channel, perhaps, than they are told by.
                    recipient=read_recipient(row).model_copy(update={"channel": page.channel, "locale": locale}),
                    attempts=attempts,
                    in_doubt=asked_at is not None,
                )
                for id_, attempts, asked_at, locale, row in session.exec(query)
            ]

    def was_drawn(self, send: str, customer: str) -> bool:
        """Returns whether a customer was drawn to be asked by this send."""
        with self._database.read() as session:
            return session.exec(select(SurveyRow.customer_id).where(SurveyRow.send_id == send)).first() == customer

    def locale(self, send: str) -> str:
        """Returns the locale that somebody is asked in."""
        with self._database.read() as session:
            return session.exec(select(SurveyRow.locale).where(SurveyRow.send_id == send)).first() or ""

    def _pages(self, *those: Any) -> list[SurveyPage]:
        columns = (SurveyRow.page, SurveyRow.revision, SurveyRow.kind, SurveyRow.channel)
        query = (
            select(SurveyRow.outreach_id, *columns, func.max(SurveyRow.not_after))  # type: ignore[call-overload]
            .join(SendRow, col(SendRow.id) == col(SurveyRow.send_id))
            .where(*those)
            .group_by(SurveyRow.outreach_id, *columns)
            .order_by(SurveyRow.page)
        )
        with self._database.read() as session:
            return [
                SurveyPage(
                    outreach=outreach, number=number, revision=revision, kind=kind, channel=channel, not_after=not_after
                )
                for outreach, number, revision, kind, channel, not_after in session.exec(query)
            ]


def _asked_since(session: Session, customers: Sequence[str], since: datetime) -> set[str]:
    found: set[str] = set()
    for chunk in chunks(customers):
        asked = (col(SurveyRow.send_id).is_not(None), col(SurveyRow.drawn_at) > since)
        found.update(session.exec(select(SurveyRow.customer_id).where(col(SurveyRow.customer_id).in_(chunk), *asked)))
    return found


def _places(session: Session, customers: Sequence[str], since: datetime) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in chunks(customers):
        query = (
            select(ReservationRow.customer_id, func.count())
            .where(col(ReservationRow.customer_id).in_(chunk), col(ReservationRow.at) > since)
            .group_by(col(ReservationRow.customer_id))
        )
        found.update(dict(session.exec(query).all()))
    return found


def _send_of(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["send_id"],
        "outreach_id": row["outreach_id"],
        "revision": row["revision"],
        "recipient_id": row["recipient_id"],
        "customer_id": row["customer_id"],
        "step": STEP + row["kind"],
        "channel": row["channel"],
        "page": row["page"],
        "state": SendState.PLANNED,
    }


def _place_of(row: dict[str, Any]) -> dict[str, Any]:
    """Returns the place that a question takes: it keeps other outreaches an hour apart, and nobody from being told."""
    return {
        "customer_id": row["customer_id"],
        "outreach_id": STEP + row["outreach_id"],
        "at": row["drawn_at"],
        "urgency": URGENCY,
    }


def _sends_of(page: SurveyPage) -> tuple[ColumnElement[bool], ...]:
    key = page.key
    return (
        col(SendRow.outreach_id) == key.outreach,
        col(SendRow.revision) == key.revision,
        col(SendRow.step) == key.step,
        col(SendRow.page) == key.page,
    )
