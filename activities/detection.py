"""Detection: sweep the operational source and admit what is new."""

from collections.abc import Mapping

from pydantic import AwareDatetime
from temporalio import activity

from activities.clock import AttemptClock
from activities.failures import told_plainly
from activities.library import LibraryGate
from activities.sources import Sources
from tellfirst.detectors.sweep import sweep
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Condition
from tellfirst.errors import NotFoundError, RefusedError, SourceError
from tellfirst.playbooks.loader import LoadedPlaybook
from tellfirst.store.admissions import Admissions


class SweepRequest(Frozen):
    """Asks for one sweep of a trigger; `at` only to look at another instant than now."""

    trigger: str
    at: AwareDatetime | None = None


class SweepAnswer(Frozen):
    """Is what a sweep came to, the conditions to start, and the outreaches to tell that theirs has grown or ended."""

    subjects: int
    new: int
    too_late: int
    at: AwareDatetime
    conditions: tuple[Condition, ...]
    changed: tuple[str, ...] = ()


class DetectionActivities:
    """Sweeps."""

    def __init__(
        self,
        *,
        admissions: Admissions,
        sources: Sources,
        library: Mapping[str, LoadedPlaybook],
        gate: LibraryGate,
    ) -> None:
        self._admissions, self._sources, self._library, self._gate = admissions, sources, library, gate

    @activity.defn(no_thread_cancel_exception=True)
    def sweep(self, request: SweepRequest) -> SweepAnswer:
        """Sweeps once and returns every condition that nobody has claimed yet, also of earlier sweeps."""
        with told_plainly():
            loaded = self._library.get(request.trigger)
            if loaded is None:
                raise NotFoundError(f"there is no playbook '{request.trigger}'")
            if refusal := self._gate.refusal(loaded.playbook, loaded.version, now=AttemptClock().now()):
                # Nobody is admitted, so that they are found again once it may.
                raise RefusedError(
                    f"this version of the playbook '{request.trigger}' may not send ({refusal})",
                    remedy="`tellfirst playbooks history` tells how it stands",
                )
            if not self._sources.configured:
                raise SourceError("there is no operational source", remedy="set TELLFIRST_SOURCE_URL")
            at = (request.at or AttemptClock().now()).replace(microsecond=0)
            with self._sources.open() as source:
                seen = sweep(loaded.playbook, source, self._admissions, at=at, given={}, dry_run=False)
            waiting = self._admissions.waiting(request.trigger)
            return SweepAnswer(
                subjects=seen.subjects,
                new=seen.new,
                too_late=seen.too_late,
                at=at,
                conditions=tuple(condition for condition, _ in waiting),
                changed=tuple(self._admissions.changed(request.trigger, at=at)),
            )
