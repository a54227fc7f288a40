"""Grouping: which findings form one condition, and its key."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from pydantic import AwareDatetime

from tellfirst.detectors.finding import Finding
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Facts, FactValue, Key, personal_pattern
from tellfirst.errors import SourceError
from tellfirst.playbooks.schema import Playbook

_LONGEST = 200
_OTHER = re.compile(r"[^a-z0-9_-]+")


class Group(Frozen):
    """Is the findings that form one condition, its key, and the facts they share."""

    key: Key
    detected_at: AwareDatetime
    facts: Facts
    findings: tuple[Finding, ...]


def sweep_id(at: datetime) -> str:
    """Returns the name of the sweep at the instant `at` (aware), such as `2018-03-15T00-00`."""
    utc = at.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H-%M-%S" if utc.second else "%Y-%m-%dT%H-%M")


def group(playbook: Playbook, findings: Sequence[Finding], *, at: datetime, sweep: str) -> list[Group]:
    """Returns the groups of one sweep in the order of their keys; each finding stands in exactly one.

    Batch: one condition per sweep and combination of the `group_by` columns. Incident: one per value of the first
    `group_by` column, whatever the sweep. Raises SourceError when a grouping column is missing or holds an address, or
    when a field declared as shared by the condition differs inside a group.
    """
    columns = playbook.detector.group_by
    if playbook.shape == "incident":
        if not columns:
            raise SourceError(
                "the incident has no key", where=f"playbook {playbook.id}", remedy="name its column first in 'group_by'"
            )
        columns = columns[:1]
    together: dict[str, list[Finding]] = {}
    for finding in findings:
        if playbook.shape == "incident":
            key = _incident_key(playbook, finding, columns[0])
        else:
            parts = [f"{_slug(name)}-{_slug(_value(playbook, finding, name))}" for name in columns]
            key = _short(".".join([*parts, sweep]))
        together.setdefault(key, []).append(finding)
    return [
        Group(key=key, detected_at=at, facts=_shared(playbook, columns, members), findings=tuple(members))
        for key, members in sorted(together.items())
    ]


def split_too_old(findings: Sequence[Finding], at: datetime, max_age: timedelta) -> tuple[list[Finding], list[Finding]]:
    """Returns (fresh, too late): a finding is too late when it began more than `max_age` before `at`."""
    fresh = [finding for finding in findings if at - finding.since <= max_age]
    return fresh, [finding for finding in findings if at - finding.since > max_age]


def _incident_key(playbook: Playbook, finding: Finding, column: str) -> str:
    value = _value(playbook, finding, column)
    if value is None or value == "":
        raise SourceError(
            f"the column '{column}' is empty",
            where=f"playbook {playbook.id}",
            remedy="every subject of an incident names it",
        )
    return _short(_slug(value))


def _value(playbook: Playbook, finding: Finding, column: str) -> FactValue:
    if column not in finding.facts:
        raise SourceError(
            f"the rule does not yield the column '{column}'",
            where=f"playbook {playbook.id}",
            remedy="select it, or take it out of 'group_by'",
        )
    value = finding.facts[column]
    kind = personal_pattern(str(value))
    if kind:
        raise SourceError(
            f"the column '{column}' holds {kind}",
            where=f"playbook {playbook.id}",
            remedy="keys stand in plain text: group by an opaque value",
        )
    return value


def _slug(value: FactValue) -> str:
    """Returns `value` as lower-case text for a key, with a digest when it loses more than its case."""
    if value is None:
        return "_none"
    lower = str(value).lower()
    slug = _OTHER.sub("-", lower).strip("-_")[:40]
    return slug if slug == lower else f"{slug}-{_digest(lower)}".lstrip("-")


def _short(key: str) -> str:
    return key if len(key) <= _LONGEST else f"{key[:180]}-{_digest(key)}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _shared(playbook: Playbook, columns: Sequence[str], members: Sequence[Finding]) -> Facts:
    """Returns the facts of a whole condition: its grouping columns, and the fields declared with source `condition`."""
    declared = [name for name, field in playbook.data.items() if field.source == "condition"]
    first = members[0].facts
    for name in declared:
        if any(finding.facts.get(name) != first.get(name) for finding in members):
            raise SourceError(
                f"the field '{name}' differs inside one condition",
                where=f"playbook {playbook.id}",
                remedy="group by it, or declare it with source 'subject'",
            )
    return {name: first[name] for name in dict.fromkeys([*columns, *declared]) if name in first}
