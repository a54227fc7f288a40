"""An outreach whose page is sent by hand: a worker, its lease, its answers."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlmodel import col, select, update

from tellfirst.domain.message import SendState
from tellfirst.policy.gate import RowFacts
from tellfirst.policy.verdict import ALLOW, Verdict
from tellfirst.store.doubts import Doubts, Settlement
from tellfirst.store.engine import Database
from tellfirst.store.gate_facts import Switches
from tellfirst.store.leases import Leases, PageKey
from tellfirst.store.repeats import Repeat
from tellfirst.store.sends import PlannedSend, Sends
from tellfirst.store.tables import RecipientRow, SendRow
from tests.store.make import DAY, NOON, OUTREACH, by, candidate, claim, customers, paged

LEASE = timedelta(seconds=20)
INITIAL = PageKey(outreach=OUTREACH, revision=1, step="initial", page=0)
TERMINAL = [s for s in SendState if s not in (SendState.PLANNED, SendState.DEFERRED, SendState.INTENT)]

Judge = Callable[[Switches, dict[str, RowFacts]], dict[str, Verdict] | str]


def step(name: str, page: int = 0) -> PageKey:
    return INITIAL.model_copy(update={"step": name, "page": page})


def allow(_: Switches, rows: dict[str, RowFacts]) -> dict[str, Verdict]:
    return dict.fromkeys(rows, ALLOW)


class Desk:
    """Is an outreach of six customers on one page, and a worker that holds it."""

    def __init__(self, database: Database, names: Sequence[str] = ("c-0", "c-1", "c-2", "c-3", "c-4", "c-5")) -> None:
        self.database = database
        claim(database)
        self.customers = customers(database, names)
        self.recipients = paged(database, [candidate(name) for name in names])
        self.recipients.randomise(OUTREACH, 1, by(), page=0)
        self.sends, self.leases, self.doubts = Sends(database), Leases(database), Doubts(database)

    def take(self, key: PageKey = INITIAL, *, late: timedelta = timedelta(0)) -> int:
        token = self.leases.take(key, now=NOON + late, until=NOON + late + LEASE)
        assert token is not None
        return token

    def open(self, key: PageKey = INITIAL, *, kind: str = "initial", retry: bool = False, token: int = 0) -> int:
        token = token or self.take(key)
        self.sends.open_page(
            key,
            kind=kind,
            channel="sms",
            repeat=Repeat(adapter="fake", since=NOON - DAY) if retry else None,
            token=token,
        )
        return token

    def intend(
        self,
        token: int,
        sends: Sequence[PlannedSend] | None = None,
        *,
        key: PageKey = INITIAL,
        judge: Judge = allow,
        facts: Callable[[PlannedSend, str | None], tuple[bool, bool, bool]] = lambda *_: (True, True, True),
        now: datetime = NOON,
        lease_until: Callable[[], datetime] | None = None,
    ) -> dict[str, str] | str:
        return self.sends.intend(
            key,
            token,
            self.sends.planned(key, 500) if sends is None else sends,
            channel="sms",
            adapter="fake",
            nonce="n-1",
            now=now,
            lease_until=lease_until or (lambda: now + 2 * LEASE),
            not_after=NOON + DAY,
            judge=judge,
            facts=facts,
        )

    def deliver(self, states: dict[str, SendState]) -> None:
        """Sends the first message, and settles each customer's as told."""
        token = self.open()
        self.intend(token)
        ids = {customer: send for send, customer in self.whose().items()}
        done = [Settlement(id=ids[c], state=s, provider_id=f"p-{c}") for c, s in states.items()]
        self.sends.settle(INITIAL, token, done, {}, now=NOON)
        self.leases.release(INITIAL, token, now=NOON)

    def whose(self) -> dict[str, str]:
        return {row.id: row.customer_id for row in self.rows()}

    def rows(self, key: PageKey = INITIAL) -> list[SendRow]:
        with self.database.read() as session:
            query = select(SendRow).where(SendRow.step == key.step).order_by(col(SendRow.recipient_id))
            return list(session.exec(query))

    def states(self, key: PageKey = INITIAL) -> dict[str, str]:
        return {row.customer_id: row.state for row in self.rows(key)}

    def set_recipient(self, customer: str, **values: object) -> None:
        with self.database.write() as session:
            session.execute(update(RecipientRow).where(col(RecipientRow.customer_id) == customer).values(**values))

    def set_state(self, send: str, state: SendState) -> None:
        with self.database.write() as session:
            session.execute(update(SendRow).where(col(SendRow.id) == send).values(state=state))
