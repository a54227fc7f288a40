"""Which reasons customers come with, how often and how steadily: what is large and predictable can be told first."""

from collections import Counter
from datetime import date, timedelta
from math import sqrt

from tellfirst.domain.base import Frozen

YEAR = 365.25
"""Days of a year."""

MOST_REASONS = 10_000
"""Distinct reasons in one ranking: more of them are free text and no codes."""


class ReasonVolume(Frozen):
    """Is one reason: its contacts, their share of all (0 to 1), and how much they vary from week to week.

    `weekly_cv` is None where it is not defined: without a full week, or without a contact in one.
    """

    reason: str
    volume: int
    share: float
    weekly_cv: float | None
    score: float


class Volumes:
    """Counts contacts by reason and week, one at a time; keeps a number per reason and week and nothing else."""

    def __init__(self) -> None:
        self.total = 0
        self.first: date | None = None
        self.last: date | None = None
        self._weeks: dict[str, Counter[date]] = {}

    def add(self, reason: str, day: date) -> None:
        """Counts one contact of `reason` on `day`; raises ValueError at the 10,001st reason."""
        weeks = self._weeks.get(reason)
        if weeks is None:
            if len(self._weeks) == MOST_REASONS:
                raise ValueError(f"more than {MOST_REASONS:,} different reasons")
            weeks = self._weeks[reason] = Counter()
        weeks[_monday(day)] += 1
        self.total += 1
        self.first = day if self.first is None or day < self.first else self.first
        self.last = day if self.last is None or day > self.last else self.last

    @property
    def days(self) -> int:
        """Counts the days from the first contact to the last, both included."""
        return 0 if self.first is None or self.last is None else (self.last - self.first).days + 1

    @property
    def full_weeks(self) -> int:
        """Counts the weeks, Monday to Sunday, that lie wholly between the first contact and the last."""
        begin, end = self._full()
        return max(0, (end - begin).days // 7)

    @property
    def silent_weeks(self) -> int:
        """Counts the full weeks without any contact."""
        spoken = {week for weeks in self._weeks.values() for week in weeks}
        return self.full_weeks - sum(self._is_full(week) for week in spoken)

    def ranked(self) -> list[ReasonVolume]:
        """Returns every reason, highest score first; reasons of one score by volume, then by name.

        `weekly_cv` is the population standard deviation over the mean of the contacts per full week, weeks without
        contact counted. The score is the volume over 1 + weekly_cv: as many contacts as come steadily. A reason seen
        in no full week scores 0; where there is no full week at all, the score is the volume.
        """
        weeks = self.full_weeks
        found = [self._volume(reason, counts, weeks) for reason, counts in self._weeks.items()]
        return sorted(found, key=lambda one: (-one.score, -one.volume, one.reason))

    def _volume(self, reason: str, counts: Counter[date], weeks: int) -> ReasonVolume:
        volume = counts.total()
        cv = _variation([n for week, n in counts.items() if self._is_full(week)], weeks)
        steady = volume / (1 + cv) if cv is not None else 0.0 if weeks else float(volume)
        return ReasonVolume(reason=reason, volume=volume, share=volume / self.total, weekly_cv=cv, score=steady)

    def _full(self) -> tuple[date, date]:
        """Returns the first Monday of a full week, and the Monday after the last one."""
        if self.first is None or self.last is None:
            return date.min, date.min
        return _monday(self.first + timedelta(days=6)), _monday(self.last + timedelta(days=1))

    def _is_full(self, week: date) -> bool:
        begin, end = self._full()
        return begin <= week < end


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _variation(counts: list[int], weeks: int) -> float | None:
    """Returns the standard deviation over the mean of `weeks` counts, of which those not given are 0."""
    total, squares = sum(counts), sum(n * n for n in counts)
    return sqrt(weeks * squares - total * total) / total if total else None
