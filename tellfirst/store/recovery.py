"""Recovery: a database that went back to an older copy has forgotten what left since; nothing of that leaves again."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlmodel import Session, col, select, update

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.domain.plan import PageRange, PlannedStep
from tellfirst.domain.recipient import ELIGIBLE
from tellfirst.policy.verdict import TOLD_BEFORE
from tellfirst.signing.trail import Entry
from tellfirst.store.alternates import lost_for_good
from tellfirst.store.chain import RECOVERY, Chain
from tellfirst.store.consents import hold
from tellfirst.store.doubts import UNASKED
from tellfirst.store.engine import Database
from tellfirst.store.opening import RECEIVED
from tellfirst.store.outreaches import RevisionRecord
from tellfirst.store.sends import send_id
from tellfirst.store.statements import chunks, insert_new
from tellfirst.store.surveys import STEP
from tellfirst.store.tables import ContactPointRow, RecipientRow, SendRow
from tellfirst.store.tables_alternates import AlternateRow

RESTORED = "restored"
"""Why something does not leave: it may have left before the database went back to the copy that this one is."""

DOUBTFUL = (*UNASKED, SendState.INTENT, SendState.UNKNOWN)


class Evidence(Protocol):
    """Is what a provider accepted since the copy was made."""

    def covers(self, channel: str) -> bool:
        """Says whether it knows all that left on a channel."""
        ...

    def sid(self, send: str, address: str, text: str) -> str | None:
        """Returns the provider's id of a send, empty where it provably did not leave, None where it may have.

        `text` is the digest of what it says, empty where that is not known.
        """
        ...


class Recovered(Frozen):
    """Counts what became of messages: `asked` may have left and are asked about, `adopted` provably left.

    `aside` are recipients without an arm who may have been told, or were; nothing leaves to them any more.
    """

    asked: int = 0
    adopted: int = 0
    aside: int = 0


class _Counts:
    def __init__(self) -> None:
        self.asked = self.adopted = self.aside = 0

    @property
    def frozen(self) -> Recovered:
        return Recovered(asked=self.asked, adopted=self.adopted, aside=self.aside)


class Recovery:
    """Takes what may have left since the copy of an instant for what it may be: a request without an answer."""

    def __init__(self, database: Database, *, providers: Mapping[str, str]) -> None:
        self._database, self._chain, self._providers = database, Chain(database), providers

    def recover(
        self, revision: RevisionRecord, evidence: Evidence | None, *, since: datetime, now: datetime, dry_run: bool
    ) -> Recovered:
        """Recovers one revision, page by page; done again it changes nothing more."""
        counts = _Counts()
        # A step begins at its instant, and only what is over is resolved: nobody knows when that was seen.
        steps = [step for step in revision.plan.steps if step.act_at is None or step.act_at <= now]
        for pages in revision.plan.pages:
            if pages.alternate:
                continue
            for page in range(pages.first, pages.first + pages.count):
                with self._database.write() as session:
                    work = _Page(session, revision, self._providers, evidence, since, counts)
                    work.recover(pages, page, steps)
                    if dry_run:
                        session.rollback()
        return counts.frozen

    def hold(self, addresses: Sequence[str], *, channel: str, at: datetime) -> int:
        """Holds back whoever has these addresses, until a person has looked; returns how many customers that are."""
        found: set[str] = set()
        with self._database.write() as session:
            for some in chunks(addresses):
                mine = ContactPointRow.channel == channel, col(ContactPointRow.address).in_(some)
                customers = set(session.exec(select(ContactPointRow.customer_id).where(*mine)))
                hold(session, customers, reply=RESTORED, at=at)
                found |= customers
        return len(found)

    def close(self, total: Recovered, *, since: datetime, by: str, at: datetime) -> None:
        """Keeps questions and answers to exceptions that were waiting from leaving, and writes down what was done."""
        waiting = col(SendRow.state).in_(UNASKED), col(SendRow.intent_at).is_(None)
        beside = col(SendRow.step).startswith(STEP) | col(SendRow.step).startswith("exception/")
        kept = {"state": SendState.WITHHELD, "reason": RESTORED, "settled_at": at}
        with self._database.write() as session:
            session.execute(update(SendRow).where(*waiting, beside).values(**kept))
            facts = {"since": since.isoformat(), **total.model_dump()}
            self._chain.append(Entry(kind=RECOVERY, about="database", actor=by, at=at, facts=facts), session)


class _Page:
    """Recovers one page inside a transaction."""

    def __init__(
        self,
        session: Session,
        revision: RevisionRecord,
        providers: Mapping[str, str],
        evidence: Evidence | None,
        since: datetime,
        counts: _Counts,
    ) -> None:
        self._session, self._revision, self._providers = session, revision, providers
        self._evidence, self._since, self._counts = evidence, since, counts
        self._new: list[dict[str, Any]] = []

    def recover(self, pages: PageRange, page: int, steps: Sequence[PlannedStep]) -> None:
        mine = (RecipientRow.outreach_id == self._revision.outreach, RecipientRow.revision == self._revision.number)
        query = select(RecipientRow).where(*mine, RecipientRow.page == page, RecipientRow.verdict == ELIGIBLE)
        rows = [row for row in self._session.exec(query.order_by(col(RecipientRow.position))) if not row.leaf]
        sends: dict[int, dict[tuple[str, str], SendRow]] = {}
        for some in chunks([row.id for row in rows]):
            for send in self._session.exec(select(SendRow).where(col(SendRow.recipient_id).in_(some))):
                sends.setdefault(send.recipient_id, {})[send.step, send.channel] = send
        alternates: dict[int, list[AlternateRow]] = {}
        theirs = (AlternateRow.outreach_id == self._revision.outreach, AlternateRow.revision == self._revision.number)
        for positions in chunks([row.position for row in rows]):
            found = select(AlternateRow).where(*theirs, col(AlternateRow.position).in_(positions))
            for one in self._session.exec(found.order_by(col(AlternateRow.rank))):
                alternates.setdefault(one.position, []).append(one)
        addresses = self._addresses([row.customer_id for row in rows])
        for row in rows:
            places: list[tuple[str, int, str]] = [(pages.channel, page, row.content_digest or "")]
            others = alternates.get(row.position, [])
            places += [(one.channel, one.page, one.content_digest or "") for one in others if one.page is not None]
            self._recipient(row, places, steps, sends.get(row.id or 0, {}), addresses)
        insert_new(self._session, SendRow, self._new)

    def _addresses(self, customers: Sequence[str]) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for some in chunks(customers):
            points = select(ContactPointRow).where(col(ContactPointRow.customer_id).in_(some))
            found |= {(one.customer_id, one.channel): one.address for one in self._session.exec(points)}
        return found

    def _recipient(
        self,
        row: RecipientRow,
        places: Sequence[tuple[str, int, str]],
        steps: Sequence[PlannedStep],
        sends: Mapping[tuple[str, str], SendRow],
        addresses: Mapping[tuple[str, str], str],
    ) -> None:
        if row.arm == "control" or row.withheld:
            return
        told = [place for place in places if _received(sends.get((steps[0].id, place[0])))]
        for step in steps:
            if not step.opens and not told:
                return
            begin = 0 if step.opens else places.index(told[0])
            for place, after in _followed(places[begin:]):
                send = sends.get((step.id, place[0]))
                if send is not None and (send.state not in UNASKED or send.intent_at is not None):
                    # In doubt already when the copy was made: only a proof says more.
                    if send.state in DOUBTFUL and (sid := self._sid(row, step, place, addresses)):
                        self._take(row, step, place, send, sid)
                        break
                    if lost_for_good(send):
                        continue
                    if after is not None and (step.id, after[0]) not in sends:
                        self._add(row, step, after, SendState.WITHHELD, TOLD_BEFORE)
                    break
                sid = self._sid(row, step, place, addresses)
                if sid == "":
                    break
                if row.arm is None:
                    row.withheld = RESTORED
                    self._session.add(row)
                    self._counts.aside += 1
                    return
                if step.opens:
                    told.append(place)
                self._take(row, step, place, send, sid)
                break

    def _sid(
        self,
        row: RecipientRow,
        step: PlannedStep,
        place: tuple[str, int, str],
        addresses: Mapping[tuple[str, str], str],
    ) -> str | None:
        channel, _, text = place
        if self._evidence is None or not self._evidence.covers(channel):
            return None
        address = addresses.get((row.customer_id, channel), "")
        return self._evidence.sid(self._id(row, step, channel), address, text if step.opens else "")

    def _take(
        self, row: RecipientRow, step: PlannedStep, place: tuple[str, int, str], send: SendRow | None, sid: str | None
    ) -> None:
        if sid:
            state = SendState.ACCEPTED
            self._counts.adopted += 1
        else:
            # Held in doubt, an end that was never told would keep promised updates from those who wait for them.
            state = SendState.WITHHELD if step.kind == "resolved" else SendState.INTENT
            self._counts.asked += state is SendState.INTENT
        if send is None:
            self._add(row, step, place, state, RESTORED, sid or "")
            return
        send.sqlmodel_update(self._values(step, place[0], state, RESTORED, sid or ""))
        self._session.add(send)

    def _add(
        self,
        row: RecipientRow,
        step: PlannedStep,
        place: tuple[str, int, str],
        state: SendState,
        reason: str,
        sid: str = "",
    ) -> None:
        channel, page, _ = place
        self._new.append(
            {
                "id": self._id(row, step, channel),
                "outreach_id": self._revision.outreach,
                "revision": self._revision.number,
                "recipient_id": row.id,
                "customer_id": row.customer_id,
                "step": step.id,
                "channel": channel,
                "page": page,
                **self._values(step, channel, state, reason, sid),
            }
        )

    def _values(self, step: PlannedStep, channel: str, state: SendState, reason: str, sid: str) -> dict[str, Any]:
        left = state is not SendState.WITHHELD
        return {
            "state": state,
            "reason": reason,
            "provider_id": sid,
            "intent_at": self._since if left else None,  # no request of the gap is older
            "settled_at": None if state is SendState.INTENT else self._since,
            "deferred_until": None,
            "not_after": step.not_after,
            "nonce": self._revision.proposal.nonce if left else "",
            "adapter": self._adapter(channel) if left else "",
        }

    def _adapter(self, channel: str) -> str:
        provider = self._providers[channel]
        return channel if provider in ("inbox", "calls") else provider

    def _id(self, row: RecipientRow, step: PlannedStep, channel: str) -> str:
        return send_id(self._revision.outreach, self._revision.number, row.position, step.id, channel)


def _received(send: SendRow | None) -> bool:
    return send is not None and (send.state in RECEIVED or send.state == SendState.INTENT)


def _followed(
    places: Sequence[tuple[str, int, str]],
) -> Iterator[tuple[tuple[str, int, str], tuple[str, int, str] | None]]:
    yield from zip(places, [*places[1:], None], strict=True)
