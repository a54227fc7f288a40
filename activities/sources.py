"""The operational source as the activities see it: opened for each piece of work, never kept."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from tellfirst.detectors.parameters import resolve_parameters
from tellfirst.detectors.sql import SqlSource
from tellfirst.domain.condition import Facts, Subject
from tellfirst.playbooks.schema import AudienceQuery, Playbook


class Watch:
    """Looks at the source again for some subjects."""

    def __init__(self, source: SqlSource, playbook: Playbook, parameters: Facts) -> None:
        self._source, self._playbook, self._parameters = source, playbook, parameters

    def still(self, keys: Sequence[str], *, at: datetime) -> set[str]:
        """Returns which of the subjects the rule still finds."""
        return set(self._source.still(self._playbook.detector, keys, at=at, parameters=self._parameters))


class Sources:
    """Reads the operational database at `url`; an empty url means there is none."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def configured(self) -> bool:
        """Returns whether there is an operational source."""
        return bool(self._url)

    def open(self) -> SqlSource:
        """Returns the source, to be used in a `with` statement."""
        return SqlSource(self._url)

    def watches(self, playbook: Playbook) -> bool:
        """Returns whether the source can say if a condition of this playbook still holds.

        Where it cannot, the service that started the condition is the one to say that it cleared.
        """
        return self.configured and playbook.detector.kind == "sql"

    @contextmanager
    def watch(self, playbook: Playbook, parameters: Facts) -> Iterator[Watch | None]:
        """Yields who can say whether the condition still holds, for as long as one piece of work takes; None if none.

        One connection, but each look is a transaction of its own: what it sees is the present.
        """
        if not self.watches(playbook):
            yield None
            return
        resolved = resolve_parameters(playbook.detector.parameters, parameters)
        with self.open() as source:
            yield Watch(source, playbook, resolved)

    def audience(self, query: AudienceQuery, parameters: Facts, *, at: datetime) -> Iterator[list[Subject]]:
        """Yields the subjects of an audience query in lists."""
        with self.open() as source:
            resolved = resolve_parameters(query.parameters, parameters)
            for findings in source.audience(query, parameters=resolved, at=at):
                yield [Subject(key=f.subject_key, customer=f.customer_ref, facts=f.facts) for f in findings]
