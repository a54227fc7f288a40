"""The escalation ladder of a playbook: who is told, level by level, while something needs a person."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from tellfirst.domain.base import Outside
from tellfirst.domain.plan import Rung
from tellfirst.playbooks.types import Duration, Person

CLIMBS_AFTER = timedelta(hours=1)
"""When an escalation reaches the accountable person, where a playbook says nothing else."""


class Level(Outside):
    """Is one level of the ladder: a role, a team or a person, told `after` a while unless somebody is on it."""

    to: Person
    after: Duration = timedelta(0)


def rungs(ladder: Sequence[Level], *, owner: str, accountable: str) -> tuple[Rung, ...]:
    """Returns the ladder; where none is given the owner is told at once and the accountable an hour later."""
    if ladder:
        return tuple(Rung(to=level.to, after=level.after) for level in ladder)
    return (Rung(to=owner), *([Rung(to=accountable, after=CLIMBS_AFTER)] if accountable != owner else []))


def ladder_findings(ladder: Sequence[Level]) -> Iterator[tuple[str, str, str]]:
    """Yields key, reason and remedy of whatever is wrong with a ladder."""
    before: timedelta | None = None
    for number, level in enumerate(ladder):
        if not level.to.strip():
            yield f"ladder[{number}].to", "is blank", "name a person, a role or a team"
        if before is None and level.after:
            yield "ladder[0].after", "keeps the first level waiting", "leave it out: the first level is told at once"
        elif before is not None and level.after <= before:
            yield (
                f"ladder[{number}].after",
                "is not later than the level before",
                "write the levels in their order, each later than the one before",
            )
        before = level.after
