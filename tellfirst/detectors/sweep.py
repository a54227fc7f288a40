"""A sweep: look at the source, admit each new subject once, and say which conditions the new ones form.

The command line and the scheduled activity sweep alike; the ledger is a protocol, so that this layer knows no store.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pydantic import AwareDatetime

from tellfirst.detectors.finding import Finding
from tellfirst.detectors.grouping import Group, group, split_too_old, sweep_id
from tellfirst.detectors.parameters import resolve_parameters
from tellfirst.detectors.sql import SqlSource
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Facts, FactValue
from tellfirst.errors import InputError
from tellfirst.playbooks.schema import Playbook


class Ledger(Protocol):
    """Is what a sweep needs of the ledger of admissions."""

    def new(self, trigger: str, keys: Sequence[str]) -> set[str]:
        """Returns which subjects have no open episode."""
        ...

    def observe(self, trigger: str, keys: Sequence[str], *, at: datetime, hold_down: timedelta) -> None:
        """Closes the episodes of what is no longer found."""
        ...

    def admit(
        self,
        trigger: str,
        admissions: Mapping[str, Sequence[Finding]],
        *,
        at: datetime,
        facts: Mapping[str, Facts],
        parameters: Facts,
    ) -> Mapping[str, int]:
        """Admits findings by condition key and returns the conditions' episodes; the empty key holds the too late."""
        ...


class FoundCondition(Frozen):
    """Is one condition of a sweep as `tellfirst detect` prints it."""

    key: str
    episode: int
    subjects: int


class Sweep(Frozen):
    """Is what one sweep saw: all that the rule finds, what is new, what comes too late, and the conditions."""

    trigger: str
    at: AwareDatetime
    subjects: int
    new: int
    too_late: int
    conditions: tuple[FoundCondition, ...]


def sweep(
    playbook: Playbook,
    source: SqlSource,
    ledger: Ledger,
    *,
    at: datetime,
    given: Mapping[str, str | FactValue],
    dry_run: bool,
) -> Sweep:
    """Sweeps once as of `at`; a dry run changes nothing. Raises InputError, SourceError."""
    if playbook.detector.kind != "sql":
        raise InputError(
            f"'{playbook.id}' is not detected by a sweep",
            where=f"playbook {playbook.id}",
            remedy="start its conditions from the service that sees them, or with `tellfirst start`",
        )
    parameters = resolve_parameters(playbook.detector.parameters, given)
    findings = source.sweep(playbook.detector, at=at, parameters=parameters)
    keys = [finding.subject_key for finding in findings]
    if not dry_run:
        # Before admitting: an episode that ended and began again between two sweeps is a new one.
        ledger.observe(playbook.id, keys, at=at, hold_down=playbook.detector.hold_down)
    new_keys = ledger.new(playbook.id, keys)
    new = [finding for finding in findings if finding.subject_key in new_keys]
    fresh, too_late = split_too_old(new, at, playbook.detector.max_age)
    groups = group(playbook, fresh, at=at, sweep=sweep_id(at))
    if dry_run:
        episodes: Mapping[str, int] = {}
    else:
        episodes = _admit(ledger, playbook, groups, too_late, at=at, parameters=parameters)
    found = [FoundCondition(key=g.key, episode=episodes.get(g.key, 1), subjects=len(g.findings)) for g in groups]
    return Sweep(
        trigger=playbook.id,
        at=at,
        subjects=len(findings),
        new=len(new),
        too_late=len(too_late),
        conditions=tuple(found),
    )


def _admit(
    ledger: Ledger,
    playbook: Playbook,
    groups: Sequence[Group],
    too_late: Sequence[Finding],
    *,
    at: datetime,
    parameters: Facts,
) -> Mapping[str, int]:
    admissions: dict[str, Sequence[Finding]] = {g.key: g.findings for g in groups}
    if too_late:
        admissions[""] = too_late
    facts = {g.key: g.facts for g in groups}
    return ledger.admit(playbook.id, admissions, at=at, facts=facts, parameters=parameters)
