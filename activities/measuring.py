"""Measuring: windows that have closed are counted and judged, and once more when a contact comes late."""

from collections.abc import Iterator
from datetime import datetime

from tellfirst.domain.outcome import Outcome
from tellfirst.measurement.outcome import judge_figures, phased
from tellfirst.store.contacts import Contacts
from tellfirst.store.late import Late
from tellfirst.store.outcomes import Outcomes
from tellfirst.store.phases import Phases
from tellfirst.store.windows import Windows


class Measuring:
    """Records outcomes; one that comes to the same again adds nothing."""

    def __init__(self, *, windows: Windows, phases: Phases, contacts: Contacts, outcomes: Outcomes, late: Late) -> None:
        self._windows, self._phases, self._contacts = windows, phases, contacts
        self._outcomes, self._late = outcomes, late

    def arrived(self, end: datetime) -> bool:
        """Returns whether every source has told of its contacts up to `end`."""
        watermark = self._contacts.watermark()
        return watermark is not None and watermark >= end

    def record(self, outreach: str, *, reason_code: str, end: datetime, at: datetime) -> Outcome:
        """Counts the windows of an outreach, the last of which closes at `end`, and records what they come to."""
        # Asked before it is counted: what arrives in between is counted too, and promised only next time.
        arrived, counted = self.arrived(end), self._windows.count(outreach)
        in_phases = self._phases.count(outreach, reason_code)
        figures = in_phases or (counted.figures if counted else ())
        outcome = judge_figures(figures, window_closed=True, watermark_passed=arrived, reason_code=reason_code)
        if in_phases:
            outcome = phased(outcome)
        t0 = (counted.first_t0, counted.last_t0) if counted else None
        self._outcomes.record(outreach, outcome, at=at, figures=figures, t0=t0)
        return outcome

    def recount(self, *, since: datetime, at: datetime) -> Iterator[str]:
        """Records anew, and yields, what was recorded before contacts of its windows came or changed after `since`."""
        for stale in self._late.outreaches(since=since, watermark=self._contacts.watermark()):
            self.record(stale.outreach, reason_code=stale.reason_code, end=stale.end, at=at)
            yield stale.outreach
