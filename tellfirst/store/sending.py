"""How fast an outreach leaves, and how long the rest of it takes: from the effect log's indexes, page by page."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlmodel import Session, col

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import SendState
from tellfirst.domain.plan import Plan
from tellfirst.store.controls import PAUSE_ALL
from tellfirst.store.opening import RECEIVED
from tellfirst.store.rates import read_limits
from tellfirst.store.statements import table
from tellfirst.store.tables import ControlRow, OutreachRow, PageRow, RevisionRow, SendRow

MINUTE = timedelta(minutes=1)
SURE = timedelta(seconds=10)
"""How long messages must have been leaving before their pace says anything: they are recorded by the batch."""
ANSWERED = (*RECEIVED, SendState.UNDELIVERED, SendState.FAILED, SendState.UNKNOWN)
"""States of what a provider was asked to send and is not asked about any more."""
READY = (SendState.PLANNED, SendState.INTENT)

Pages = Mapping[int, Mapping[str, int]]
"""Sends by page and state."""


class Speed(Frozen):
    """Is what was sent and answered in the last minute: how many messages, and since when."""

    count: int
    since: datetime

    def time_for(self, messages: int, now: datetime) -> timedelta | None:
        """Returns how long so many more take, or None while they have not been leaving for long enough to tell."""
        taken = now - self.since
        return taken * (messages / self.count) if taken >= SURE else None


class Sending(Frozen):
    """Is how an outreach is leaving.

    Its `waiting` messages could leave now, those held out among them while their page is not drawn; `deferred` ones
    have an hour of their own. `lately` counts the last minute. `left` is how long those that wait take, None where
    nothing tells; `paced` names the channel whose set rate makes it so long. While `stopped` nothing leaves.
    """

    waiting: int
    deferred: int
    lately: int
    left: timedelta | None
    paced: str
    stopped: bool

    def words(self, length: Callable[[timedelta], str]) -> str:
        """Returns it for people, who read durations as `length` writes them; what is not known is not guessed."""
        waiting = f"{self.waiting:,} wait" if self.waiting else ""
        deferred = f"{self.deferred:,} until they may be disturbed" if self.deferred else ""
        if self.stopped:
            parts = ["nothing leaves while it is stopped", waiting, deferred]
        else:
            lately = f"{self.lately:,}" if self.lately else "none"
            parts = [f"{lately} in the last minute", waiting, self._left(length) if waiting else "", deferred]
        return "; ".join(part for part in parts if part)

    def _left(self, length: Callable[[timedelta], str]) -> str:
        if self.left is None:
            return "time left not known"
        if self.paced:
            return f"at least {length(self.left)} left, by the rate that is set for {self.paced.replace('_', ' ')}"
        return f"about {length(self.left)} left"


def read_speeds(session: Session, now: datetime, outreach: str | None = None) -> dict[str, Speed]:
    """Returns the outreaches of which something was sent in the last minute; receipts of earlier sends do not count."""
    send = table(SendRow)
    lately = [send.c.state.in_(ANSWERED), send.c.settled_at > now - MINUTE, send.c.intent_at > now - MINUTE]
    # Grouped by the column itself, SQLite goes through the whole effect log in its order.
    of = func.coalesce(send.c.outreach_id, "")
    query = select(of, func.count(), func.min(send.c.intent_at)).where(*lately).group_by(of)
    if outreach is not None:
        query = query.where(of == outreach)
    return {name: Speed(count=count, since=since) for name, count, since in session.execute(query)}


def read_sending(
    session: Session, outreach: str, defaults: Mapping[str, float], *, now: datetime, speed: Speed | None
) -> Sending | None:
    """Returns how a running outreach is leaving; None where nothing of it is.

    `defaults` are the rates of channels (units a second) that nobody has set another one for; a message is taken for
    one unit, so that long texts take longer than a rate that nothing was measured under lets expect.
    """
    row = session.get(OutreachRow, outreach)
    if row is None or row.closed_at is not None:
        return None
    sends, frozen = _sends(session, outreach), _pages(session, outreach)
    waiting: dict[str, int] = defaultdict(int)
    deferred = 0
    for plan in _plans(session, outreach):
        pages = frozen[plan.revision]
        steps = {step: by for (revision, step), by in sends.items() if revision == plan.revision}
        for by_page in steps.values():
            deferred += sum(states.get(SendState.DEFERRED, 0) for states in by_page.values())
        for page, count in _coming(plan, pages, steps, now, leaving=speed is not None):
            waiting[pages[page][0]] += count
    lately = speed.count if speed else 0
    total = sum(waiting.values())
    if not total + deferred + lately:
        return None
    names = set(session.scalars(select(col(ControlRow.name))))
    halted = bool(waiting) and all(f"channel:{channel}" in names for channel in waiting)
    left = speed.time_for(total, now) if speed else None
    left, paced = _paced(left, waiting, read_limits(session, defaults))
    return Sending(
        waiting=total,
        deferred=deferred,
        lately=lately,
        left=left,
        paced=paced,
        stopped=row.paused or bool(row.blocked) or PAUSE_ALL in names or halted,
    )


def _coming(
    plan: Plan, pages: Mapping[int, tuple[str, int]], steps: Mapping[str, Pages], now: datetime, *, leaving: bool
) -> Iterator[tuple[int, int]]:
    """Yields (page, messages) of what may leave now: what is planned, and the pages that nobody has opened yet."""
    for step, by_page in steps.items():
        for page, states in by_page.items():
            if page in pages and (ready := sum(states.get(state, 0) for state in READY)):
                yield page, ready
        if step == plan.initial.id:
            continue
        # Pages of an update have rows once they are opened: behind them come those who got the first message.
        busy = leaving or any(states.get(state) for states in by_page.values() for state in READY)
        if busy and any(one.id == step and one.not_after >= now for one in plan.steps):
            for page, states in steps.get(plan.initial.id, {}).items():
                if page in pages and page not in by_page:
                    yield page, sum(states.get(state, 0) for state in RECEIVED)
    if plan.initial.not_after >= now:
        opened = steps.get(plan.initial.id, {})
        held_back = plan.canary and not any(plan.canary <= page < plan.page_count for page in opened)
        last = plan.canary if held_back else plan.page_count
        yield from ((page, rows) for page, (_, rows) in pages.items() if page < last and page not in opened)


def _paced(
    left: timedelta | None, waiting: Mapping[str, int], limits: Mapping[str, float]
) -> tuple[timedelta | None, str]:
    """Returns how long it takes, and the channel whose rate makes it longer than what was measured."""
    paced = ""
    for channel, count in waiting.items():
        if channel in limits and (by_rate := timedelta(seconds=count / limits[channel])) > (left or timedelta()):
            left, paced = by_rate, channel
    return left, paced


def _plans(session: Session, outreach: str) -> list[Plan]:
    approved = col(RevisionRow.outreach_id) == outreach, col(RevisionRow.status) == "approved"
    return [Plan.model_validate(plan) for plan in session.scalars(select(col(RevisionRow.plan)).where(*approved))]


def _pages(session: Session, outreach: str) -> Mapping[int, dict[int, tuple[str, int]]]:
    page = table(PageRow)
    pages: dict[int, dict[int, tuple[str, int]]] = defaultdict(dict)
    query = select(page.c.revision, page.c.number, page.c.channel, page.c.rows).where(page.c.outreach_id == outreach)
    for revision, number, channel, rows in session.execute(query):
        pages[revision][number] = channel, rows
    return pages


def _sends(session: Session, outreach: str) -> Mapping[tuple[int, str], dict[int, dict[str, int]]]:
    send = table(SendRow)
    columns = (send.c.revision, send.c.step, send.c.page, send.c.state)
    query = select(*columns, func.count()).where(send.c.outreach_id == outreach).group_by(*columns)
    found: dict[tuple[int, str], dict[int, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for revision, step, page, state, count in session.execute(query):
        found[revision, step][page][state] = count
    return found
