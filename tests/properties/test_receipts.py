"""Receipts and our own answer in every order, each of them twice: one end for all, and nothing changes it any more."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count, permutations
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select, update

from tellfirst.channels.receipts import judge, meaning
from tellfirst.domain.message import AnswerKind, SendState
from tellfirst.domain.receipt import Receipt
from tellfirst.store.doubts import Doubts, Settlement, settle_batch
from tellfirst.store.engine import Database
from tellfirst.store.receipts import Receipts
from tellfirst.store.tables import ConsentRow, ContactPointRow, OutreachRow, SendRow
from tests.properties.trying import examples
from tests.store.make import HOUR, NOON
from tests.web.rows import put_sends

STATUSES = [
    *(("queued", ""), ("sent", ""), ("delivered", ""), ("failed", ""), ("teleported", "")),
    *(("undelivered", error) for error in ("", "30003", "30008", "21610", "30005", "30007")),
]
NUMBERS = count()


class Word(NamedTuple):
    """Is one receipt; where it names our send, it proves of one in doubt that it left."""

    status: str
    error: str
    named: bool


class End(NamedTuple):
    """Is all that a message and its receipts can come to."""

    state: str
    reason: str
    provider_id: str
    closed: tuple[str, ...]
    usable: bool
    blocked: str | None


words = st.builds(lambda known, named: Word(known[0], known[1], named), st.sampled_from(STATUSES), st.booleans())
answers = st.sampled_from([SendState.ACCEPTED, SendState.INTENT])  # the latter says: it may have left


class Office:
    """Takes what comes about one message, in one order."""

    def __init__(self, database: Database, batched: bool) -> None:
        self._database, self._batched = database, batched
        self.receipts = Receipts(database, judge=judge, meaning=meaning)
        self.id = f"{next(NUMBERS):032x}"
        put_sends(database, [(self.id, "twilio", "")], state=SendState.INTENT)

    def take(self, word: Word) -> None:
        provider_id, send = f"SM{self.id}", self.id if word.named else ""
        one = Receipt(provider="twilio", provider_id=provider_id, status=word.status, error=word.error, send=send)
        if self._batched:
            self.receipts.take_all([one, one], now=NOON)
        else:
            self.receipts.take(one, now=NOON)

    def answer(self, state: SendState) -> None:
        provider_id = f"SM{self.id}" if state is SendState.ACCEPTED else ""
        with self._database.write() as session:
            settle_batch(session, [Settlement(id=self.id, state=state, provider_id=provider_id)], now=NOON, bodies={})

    def look_after(self) -> None:
        """Does what upkeep does for what came before we knew its provider id, and reconciliation at its last turn."""
        not_found = Settlement(id=self.id, state=SendState.UNKNOWN, reason="not_found_at_provider")
        Doubts(self._database).resolve([not_found], now=NOON)
        for silent in self.receipts.silent("sms", "twilio", NOON - HOUR, NOON + HOUR, after=None, limit=5_000):
            if silent.id == self.id:
                self.receipts.judge_again(silent, now=NOON)

    def end(self) -> End:
        customer = f"c-{self.id}"
        with self._database.read() as session:
            send = session.get_one(SendRow, self.id)
            no = select(ConsentRow).where(ConsentRow.customer_id == customer, ~col(ConsentRow.allowed))
            point = select(ContactPointRow).where(ContactPointRow.customer_id == customer)
            return End(
                state=send.state,
                # Of what was accepted it only says who was faster.
                reason=send.reason if send.state != SendState.ACCEPTED else "",
                provider_id=send.provider_id.replace(self.id, ""),
                closed=tuple(sorted(row.channel for row in session.exec(no))),
                usable=session.exec(point).one().usable,
                blocked=session.get_one(OutreachRow, send.outreach_id).blocked,
            )


def expected(said: Sequence[Word], answer: SendState) -> End:
    """Returns the end by another way: from the set of what was said, whatever came when."""
    linked = answer is SendState.ACCEPTED or any(word.named for word in said)
    judged = judge("twilio", {(word.status, word.error) for word in said})
    kinds = {_meaning(word) for word in said}
    state: SendState = answer if answer is SendState.ACCEPTED else SendState.UNKNOWN
    reason = "not_found_at_provider"
    if linked and judged.state is not None:
        state, reason = judged.state, judged.reason
    return End(
        state=state,
        reason=reason if state is not SendState.ACCEPTED else "",
        provider_id="SM" if state is not SendState.UNKNOWN else "",
        closed=("*",) if linked and AnswerKind.OPTED_OUT in kinds else (),
        usable=not (linked and AnswerKind.PERMANENT in kinds),
        blocked="provider_block:30007" if linked and AnswerKind.POLICY_BLOCK in kinds else None,
    )


@examples(6)
@given(st.lists(words, min_size=1, max_size=3, unique_by=lambda w: (w.status, w.error)), answers, st.booleans())
def test_every_order_ends_alike_and_nothing_comes_after(
    database: Database, said: list[Word], answer: SendState, batched: bool
) -> None:
    everything: list[Word | SendState] = [*said, answer]
    for order in permutations(everything):
        _unblock(database)
        office = Office(database, batched)
        for one in order:
            if isinstance(one, Word):
                office.take(one)
                office.take(one)
            else:
                office.answer(one)
        office.look_after()
        end = office.end()
        assert end == expected(said, answer), order
        for late in (*reversed(said), Word("nonsense", "", False)):
            office.take(late)
        office.answer(SendState.ACCEPTED)
        office.look_after()
        assert office.end() == end, f"{order}, and then all of it again"


@examples(10)
@given(st.lists(words, min_size=1, max_size=4))
def test_what_is_reported_of_others_and_of_nobody_changes_nothing(database: Database, said: list[Word]) -> None:
    _unblock(database)
    office = Office(database, batched=False)
    office.answer(SendState.ACCEPTED)
    end = office.end()
    for word in said:
        about = {"status": word.status, "error": word.error}
        for provider, provider_id, send in (
            ("twilio", "SMnobody", "nobody"),
            ("twilio", "SMother", office.id if word.named else ""),  # one message is no proof of two
            ("sendgrid", f"SM{office.id}", office.id if word.named else ""),
        ):
            told = Receipt(provider=provider, provider_id=provider_id, send=send, **about)
            office.receipts.take(told, now=NOON + timedelta(days=30))
    office.look_after()
    left = office.end()
    assert (left.state, left.reason, left.provider_id) == (end.state, end.reason, end.provider_id)


def _meaning(word: Word) -> AnswerKind | None:
    return meaning(Receipt(provider="twilio", provider_id="SM", status=word.status, error=word.error))


def _unblock(database: Database) -> None:
    with database.write() as session:
        session.execute(update(OutreachRow).values(blocked=None))
