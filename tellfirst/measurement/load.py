"""Team load: what telling first asks of people, by person, and how long what they do waited for them."""

from collections.abc import Sequence
from statistics import median

from tellfirst.domain.base import Frozen
from tellfirst.domain.load import Duties
from tellfirst.policy.hours import Calendar, opening


class Waited(Frozen):
    """Is how long things waited, in seconds: half of them no longer than `median`, none longer than `longest`."""

    count: int
    median: float
    longest: float


class PersonLoad(Frozen):
    """Is what one person did: `decisions` of every kind, `approvals` among them, `exceptions` decided among them.

    `waited` is from planned to decided, `after_hours` the decisions outside business hours; `asked` exceptions were
    requested by them, `escalations` acknowledged, `acknowledged` after so long.
    """

    person: str
    decisions: int
    approvals: int
    waited: Waited | None
    after_hours: int
    exceptions: int
    asked: int
    escalations: int
    acknowledged: Waited | None


class TeamLoad(Frozen):
    """Is the load of each person, whoever decided most first, and of all together; `open` escalations wait for one."""

    people: tuple[PersonLoad, ...]
    everyone: PersonLoad
    open: int


def team_load(duties: Duties, at_work: Calendar) -> TeamLoad:
    """Returns the load that `duties` are; `at_work` says when business hours are, where people work."""
    names = {
        *(one.person for one in duties.decisions),
        *duties.requests,
        *(one.person for one in duties.escalations if one.person),
    }
    people = [_load(name, duties, at_work) for name in sorted(names)]
    return TeamLoad(
        people=tuple(sorted(people, key=lambda one: (-one.decisions, -one.escalations, one.person))),
        everyone=_load("", duties, at_work),
        open=sum(not one.person for one in duties.escalations),
    )


def _load(name: str, duties: Duties, at_work: Calendar) -> PersonLoad:
    """Returns what a person did, or with an empty name all of them."""
    decided = [one for one in duties.decisions if name in ("", one.person)]
    taken = [one for one in duties.escalations if one.person and name in ("", one.person)]
    return PersonLoad(
        person=name,
        decisions=len(decided),
        approvals=sum(one.decision == "approve" for one in decided),
        waited=_waited([(one.at - one.since).total_seconds() for one in decided if one.since is not None]),
        after_hours=sum(opening(at_work, one.at) != one.at for one in decided),
        exceptions=sum(one.exception for one in decided),
        asked=sum(name in ("", one) for one in duties.requests),
        escalations=len(taken),
        acknowledged=_waited(
            [(one.acknowledged_at - one.opened_at).total_seconds() for one in taken if one.acknowledged_at is not None]
        ),
    )


def _waited(seconds: Sequence[float]) -> Waited | None:
    if not seconds:
        return None
    return Waited(count=len(seconds), median=median(seconds), longest=max(seconds))
