"""What happened before a contact: whether an operational event foretells it, how early, and what telling would save."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Annotated

from pydantic import Field

from tellfirst.domain.base import Frozen
from tellfirst.measurement.intervals import newcombe, wilson
from tellfirst.measurement.reasons import YEAR

HOUR, DAY = 3_600.0, 86_400.0
"""Seconds."""

MOST_KINDS = 1_000
"""Kinds of events in one ranking."""

Share = Annotated[float, Field(ge=0, le=1)]


class Span(Frozen):
    """Is a period in seconds since one epoch, both ends included."""

    first: float
    last: float

    @property
    def per_year(self) -> float:
        """Returns by what a count over the period is multiplied to be one of a year; a period is a day at least."""
        return YEAR * DAY / max(DAY, self.last - self.first)


class Estimate(Frozen):
    """Is a number with its interval."""

    low: float
    value: float
    high: float


class Price(Frozen):
    """Is what a year is judged by: money where `contact` is what one contact costs, else contacts (1 and 0).

    `told` is what telling one customer costs, `deflection` the share (0 to 1) of the contacts foretold in time that
    telling first is assumed to avoid.
    """

    contact: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    told: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    deflection: Share = 0.2


class Forerunner(Frozen):
    """Is one kind of event before the contacts of one reason; shares from 0 to 1, hours from event to contact.

    `preceded`: contacts with such an event of the same customer before them. `by_chance`: contacts with one equally
    long after them, as many as chance would put before. `in_time`: what of the contacts an event foretells beyond
    chance and early enough. `followed`: events after which the customer made contact. `value`: of a year, telling
    every customer with such an event.
    """

    kind: str
    contacts: int
    events: int
    events_a_year: float
    preceded: Estimate
    by_chance: float
    in_time: Estimate
    lead_hours: tuple[int, int, int] | None
    followed: Estimate | None
    value: Estimate


class _Pair:
    __slots__ = ("after", "after_in_time", "before", "before_in_time", "followed", "hours")

    def __init__(self) -> None:
        self.before = self.before_in_time = self.after = self.after_in_time = self.followed = 0
        self.hours: Counter[int] = Counter()


class Forerunners:
    """Counts, customer by customer, which contacts an event came before.

    `contacts` and `events` are the periods in which each is known, `lookback` seconds how long an event may lie back
    and `notice` seconds how long it takes to tell (detect, approve, deliver). Contacts count where events are known,
    events where the contacts after them are.
    """

    def __init__(self, *, contacts: Span, events: Span, lookback: float, notice: float) -> None:
        if not 0 <= notice < lookback:
            raise ValueError("the notice is shorter than the time an event may lie back, and not negative")
        self.contacts, self.events = contacts, events
        self._lookback, self._notice = lookback, notice
        self._of_reason: Counter[str] = Counter()
        self._of_kind: Counter[str] = Counter()
        self._ripe: Counter[str] = Counter()
        self._pairs: defaultdict[tuple[str, str], _Pair] = defaultdict(_Pair)

    def add(self, events: Iterable[tuple[float, str]], contacts: Iterable[tuple[float, str]]) -> None:
        """Counts one customer: events as (second, kind), contacts as (second, reason), in any order.

        An event at the instant of a contact lies before it. Raises ValueError at the 1,001st kind.
        """
        happened, came = _by_name(events), _by_name(contacts)
        for kind, instants in happened.items():
            self._of_kind[kind] += len(instants)
            if len(self._of_kind) > MOST_KINDS:
                raise ValueError(f"more than {MOST_KINDS:,} different kinds of events")
            ripe = [t for t in instants if self.contacts.first <= t <= self.contacts.last - self._lookback]
            self._ripe[kind] += len(ripe)
            for reason, calls in came.items():
                # An event that nobody called after leaves no pair behind: they would be reasons times kinds.
                if followed := sum(self._next(calls, t) < self._lookback for t in ripe):
                    self._pairs[reason, kind].followed += followed
        for reason, calls in came.items():
            known = [t for t in calls if self.events.first <= t <= self.events.last]
            self._of_reason[reason] += len(known)
            for kind, instants in happened.items():
                for t in known:
                    self._place(self._pairs[reason, kind], instants, t)

    def best(self, reason: str, *, a_year: float, avoidable: float, price: Price) -> Forerunner | None:
        """Returns the kind of event whose yearly value has the highest low end for `reason`, None without events.

        `a_year` are its contacts of a year, `avoidable` (0 to 1) is what of them telling first could spare at all.
        Value: a_year x in_time x avoidable x deflection x cost of a contact, less events of a year x cost of telling;
        its ends are those of `in_time` (Newcombe 1998, method 10, preceded in time less by chance), which is at
        95 % over all kinds together (Bonferroni), so that the best of many is not the luckiest.
        """
        found = (self._forerunner(reason, kind, a_year, avoidable, price) for kind in sorted(self._of_kind))
        return max((one for one in found if one), key=lambda one: (one.value.low, one.preceded.low), default=None)

    def _forerunner(self, reason: str, kind: str, a_year: float, avoidable: float, price: Price) -> Forerunner | None:
        n, pair = self._of_reason[reason], self._pairs.get((reason, kind), _Pair())
        if not n:
            return None
        level = 1 - 0.05 / len(self._of_kind)
        beyond = newcombe(pair.before_in_time, n, pair.after_in_time, n, level)
        in_time = _estimate(beyond.low, beyond.difference, beyond.high)
        worth = a_year * avoidable * price.deflection * price.contact
        spent = self._of_kind[kind] * self.events.per_year
        ripe = self._ripe[kind]
        return Forerunner(
            kind=kind,
            contacts=n,
            events=self._of_kind[kind],
            events_a_year=spent,
            preceded=_share(pair.before, n),
            by_chance=pair.after / n,
            in_time=in_time,
            lead_hours=_quartiles(pair.hours),
            followed=_share(pair.followed, ripe) if ripe else None,
            value=Estimate(
                low=worth * in_time.low - spent * price.told,
                value=worth * in_time.value - spent * price.told,
                high=worth * in_time.high - spent * price.told,
            ),
        )

    def _place(self, pair: _Pair, instants: Sequence[float], t: float) -> None:
        last = bisect_right(instants, t) - 1
        if last >= 0 and (lag := t - instants[last]) < self._lookback:
            pair.before += 1
            pair.before_in_time += lag >= self._notice
            pair.hours[int(lag // HOUR)] += 1
        following = bisect_right(instants, t)
        if following < len(instants) and (wait := instants[following] - t) < self._lookback:
            pair.after += 1
            pair.after_in_time += wait >= self._notice

    @staticmethod
    def _next(calls: Sequence[float], t: float) -> float:
        place = bisect_left(calls, t)
        return calls[place] - t if place < len(calls) else float("inf")


def _by_name(things: Iterable[tuple[float, str]]) -> dict[str, list[float]]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for instant, name in sorted(things):
        found[name].append(instant)
    return found


def _share(events: int, n: int) -> Estimate:
    low, high = wilson(events, n)
    return Estimate(low=low, value=events / n, high=high)


def _estimate(low: float, value: float, high: float) -> Estimate:
    """Returns a share that is not below 0: fewer than by chance foretells nothing."""
    return Estimate(low=max(0.0, low), value=max(0.0, value), high=max(0.0, high))


def _quartiles(hours: Counter[int]) -> tuple[int, int, int] | None:
    """Returns the lower quartile, the median and the upper quartile in whole hours."""
    total = hours.total()
    if not total:
        return None
    order = sorted(hours)
    sums = list(accumulate(hours[hour] for hour in order))
    lower, median, upper = (order[bisect_left(sums, (total * part + 3) // 4)] for part in (1, 2, 3))
    return lower, median, upper
