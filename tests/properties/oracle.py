"""What must hold of one outreach whatever happens to it, judged from outside: by the provider and by the rows."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlmodel import col, select

from tellfirst.domain.message import SendState
from tellfirst.domain.recipient import ELIGIBLE
from tellfirst.store.engine import Database
from tellfirst.store.tables import ConsentRow, OutreachRow, RecipientRow, RevisionRow, SendRow
from tellfirst.store.tables_escalations import EscalationRow
from tests.properties.provider import Provider

S = SendState
FORWARDS: dict[str, frozenset[str]] = {
    S.PLANNED: frozenset(S),
    S.DEFERRED: frozenset(S),
    S.INTENT: frozenset(S),
    S.UNKNOWN: frozenset({S.ACCEPTED, S.UNDELIVERED, S.DELIVERED}),
    S.ACCEPTED: frozenset({S.UNDELIVERED, S.DELIVERED}),
    S.UNDELIVERED: frozenset({S.DELIVERED}),
    S.DELIVERED: frozenset(),
    S.FAILED: frozenset(),
    S.WITHHELD: frozenset(),
}
"""Where a send may stand later that stood so; several of its steps may lie between two looks."""
WAITING = (S.PLANNED, S.DEFERRED, S.INTENT)
OVER = ("rejected", "changes_requested", "replaced", "expired", "cleared", "aborted")
"""Statuses of a revision of which nothing leaves any more."""


@dataclass
class Closed:
    """Says which messages must not leave from now on: none of these is asked for more often than it was."""

    why: str
    which: Callable[[SendRow], bool]
    attempts: dict[str, int]


@dataclass
class Oracle:
    """Holds one outreach against what people said; `wrong` speaks for whatever must not be."""

    database: Database
    outreach: str
    providers: Sequence[Provider]
    let: set[int] = field(default_factory=set)
    """Revisions of which an approval was handed in that nobody forged."""
    lost: set[str] = field(default_factory=set)
    """Messages that their provider reported as lost."""
    stopped: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    astray: set[str] = field(default_factory=set)
    """Steps that a worker sent whom nobody had asked to."""
    closed: dict[str, Closed] = field(default_factory=dict)
    before: dict[str, SendRow] = field(default_factory=dict)
    statuses: dict[int, str] = field(default_factory=dict)

    # -- what closes what

    def close(self, why: str, which: Callable[[SendRow], bool]) -> None:
        """Lets nothing of these leave from now on; an intent that stands is one that may have left already."""
        if why not in self.closed:
            self.closed[why] = Closed(why, which, {row.id: row.attempts for row in self.sends()})

    def look(self) -> None:
        """Closes what the rows say is closed, whoever closed it, and opens what they say is open."""
        with self.database.read() as session:
            outreach = session.get(OutreachRow, self.outreach)
            of_this = select(RevisionRow).where(RevisionRow.outreach_id == self.outreach)
            revisions = {row.number: row.status for row in session.exec(of_this)}
            no = select(ConsentRow.customer_id).where(~col(ConsentRow.allowed), ConsentRow.channel == "*")
            stopped = set(session.exec(no))
        if outreach is None:
            return
        for customer in stopped:
            self.close(f"opt-out of {customer}", lambda row, customer=customer: row.customer_id == customer)  # type: ignore[misc]
        for number, status in revisions.items():
            if status in OVER:
                self.close(f"{status} {number}", lambda row, number=number: row.revision == number)  # type: ignore[misc]
            was = self.statuses.get(number, "pending")
            assert was == status or was not in OVER[:5], f"revision {number} was {was} and is {status}"
        self.statuses = revisions
        if outreach.cleared_at is not None:
            self.close("cleared", lambda row: row.step != "resolved")
        if outreach.paused or outreach.blocked:
            self.close("held", lambda _: True)
        else:
            self.closed.pop("held", None)

    # -- what must hold after every step

    def check(self) -> None:
        """Raises AssertionError for what must not be."""
        rows = {row.id: row for row in self.sends()}
        for closed in self.closed.values():
            for row in rows.values():
                if closed.which(row):
                    assert row.attempts <= closed.attempts.get(row.id, 0), f"{row.step} left after: {closed.why}"
        people: Counter[tuple[str, str]] = Counter()
        for provider in self.providers:
            for message in provider.sent:
                assert message.send_id in rows, "a message without a send"
                send = rows[message.send_id]
                assert send.attempts > 0, f"a message that nobody meant to send: {send.state}"
                assert send.customer_id == message.customer, "somebody else's message"
                people[send.customer_id, send.step] += message.send_id not in self.lost
        assert all(count == 1 for count in people.values() if count), f"twice: {people.most_common(1)}"
        took = {message.send_id for provider in self.providers for message in provider.sent}
        for row in rows.values():
            assert row.state not in (S.WITHHELD, S.DEFERRED) or row.id not in took, f"{row.reason}, and yet it left"
            assert not row.attempts or row.revision in self.let, f"revision {row.revision} was never approved"
            if (was := self.before.get(row.id)) is not None:
                on = row.state == was.state or row.state in FORWARDS[was.state]
                assert on, f"a send that was {was.state} is {row.state}"
                assert row.attempts >= was.attempts
        self.before = rows
        self.look()

    # -- what must hold in the end

    def settle(self) -> int:
        """Raises AssertionError for anybody of whom nothing is recorded, or who was left out for no reason.

        Returns how many messages wait for a person for ever, who was asked and did nothing before the end.
        """
        with self.database.read() as session:
            outreach = session.get_one(OutreachRow, self.outreach)
            people = list(session.exec(select(RecipientRow).where(RecipientRow.outreach_id == self.outreach)))
            asked = select(EscalationRow.id).where(
                EscalationRow.about == self.outreach, EscalationRow.kind == "attention"
            )
            held = outreach.paused or bool(outreach.blocked) or bool(session.exec(asked).first())
        assert outreach.closed_at is not None
        sends, waiting = self.sends(), 0
        for one in people:
            theirs = [row for row in sends if row.recipient_id == one.id]
            first = [row for row in theirs if row.step == "initial"]
            if one.verdict != ELIGIBLE or one.withheld or one.arm == "control":
                assert not theirs, f"told although {one.verdict} {one.withheld}"
            elif one.arm is None:
                assert self.statuses[one.revision] in OVER, f"forgotten: {self.statuses[one.revision]}"
            else:
                left = [row for row in theirs if row.state in WAITING]
                waiting += len(left) + (not first)
                # A worker that nobody counts on may have planned what its outreach never came to.
                stray = [row for row in left if row.step in self.astray and not row.attempts]
                assert held or (first and left == stray), [(row.step, row.state) for row in theirs]
            for row in theirs:
                if row.state == S.WITHHELD:
                    assert self._explained(row), f"{row.step} was withheld for no reason: {row.reason}"
        took = {id_ for provider in self.providers for id_ in provider.took}
        claimed = {row.id for row in sends if row.state in (S.ACCEPTED, S.DELIVERED, S.UNDELIVERED)}
        assert claimed <= took, "recorded as sent, and never was"
        doubtful = {row.id for row in sends if row.state in (S.UNKNOWN, S.INTENT)}
        assert took <= claimed | doubtful, "sent, and nothing says so"
        return waiting

    def _explained(self, row: SendRow) -> bool:
        refused = {customer for provider in self.providers for customer in provider.refused}
        return {
            "opted_out": row.customer_id in self.stopped | refused,
            "address_gone": row.customer_id in refused,
            "address_changed": row.customer_id in self.moved,
            "condition_cleared": "cleared" in self.closed,
            "condition_still_true": True,  # judged per subject, at another time
            "too_late": True,
            "told_before": True,
        }.get(row.reason, False)

    # -- reading

    def sends(self) -> list[SendRow]:
        """Returns the effect log of the outreach."""
        with self.database.read() as session:
            return list(session.exec(select(SendRow).where(SendRow.outreach_id == self.outreach)))
