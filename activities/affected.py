"""Whom a condition affects: named by its starter, admitted by sweeps, or found by a query of its playbook."""

from collections.abc import Iterator
from datetime import datetime

from activities.sources import Sources
from tellfirst.domain.condition import ADMITTED, Subject
from tellfirst.playbooks.schema import Playbook
from tellfirst.store.admissions import Admissions
from tellfirst.store.outreaches import Outreaches, OutreachRecord


class Affected:
    """Finds the subjects of a condition, wherever they stand."""

    def __init__(self, *, outreaches: Outreaches, admissions: Admissions, sources: Sources) -> None:
        self._outreaches, self._admissions, self._sources = outreaches, admissions, sources

    def not_planned(self, case: OutreachRecord, playbook: Playbook, *, at: datetime) -> Iterator[list[Subject]]:
        """Yields, list by list, the subjects that no revision has planned for; raises SourceError."""
        for subjects in self._all(case, playbook, at):
            planned = self._outreaches.planned_already(case.id, [s.key for s in subjects])
            yield [s for s in subjects if s.key not in planned]

    def may_grow(self, case: OutreachRecord) -> bool:
        """Returns whether more subjects can come after the start."""
        return case.audience is not None

    def _all(self, case: OutreachRecord, playbook: Playbook, at: datetime) -> Iterator[list[Subject]]:
        if case.audience is None:
            yield from self._outreaches.subjects(case.id)
        elif case.audience.query == ADMITTED:
            yield from self._admissions.admitted(case.trigger, case.key, case.episode)
        else:
            yield from self._sources.audience(playbook.audience[case.audience.query], case.audience.parameters, at=at)
