"""Which reasons are worth being proactive about, and what would have to be known to say it better."""

from collections.abc import Mapping, Sequence

from tellfirst.domain.base import Frozen
from tellfirst.measurement.forerunners import Estimate, Forerunner, Forerunners, Price
from tellfirst.measurement.reasons import YEAR, ReasonVolume, Volumes

UNJUDGED = 0.5
"""The avoidability of a reason that its owner has not judged: 0 not at all, 1 wholly, 0.5 partly."""

SELDOM = 0.02
"""Below this share of events that are followed by a contact, telling everybody is mostly noise."""

FEW_WEEKS = 26
"""Fewer full weeks than half a year say little about steadiness."""


class Candidate(Frozen):
    """Is one reason in the ranking; `value` of a year is in the unit of `Price`, its low end what is ranked by."""

    volume: ReasonVolume
    a_year: float
    avoidable: float
    event: Forerunner | None
    value: Estimate | None
    score: float


def rank(
    volumes: Volumes, forerunners: Forerunners | None, avoidable: Mapping[str, float], price: Price
) -> list[Candidate]:
    """Returns every reason, highest score first: the low end of the yearly value where events are known.

    Without events the score is that of `Volumes.ranked`. A reason that no event foretells has no value to lose
    either: it scores 0, never above. `avoidable` is 0 to 1 by reason, as its owner judges. Source of the value: volume
    x share foretold in time x avoidability x expected deflection x cost, less the cost of telling.
    """
    found = [_candidate(volume, volumes.days, forerunners, avoidable, price) for volume in volumes.ranked()]
    return sorted(found, key=lambda one: (-one.score, -one.volume.volume, one.volume.reason))


def _candidate(
    volume: ReasonVolume,
    days: int,
    forerunners: Forerunners | None,
    avoidable: Mapping[str, float],
    price: Price,
) -> Candidate:
    part, a_year = avoidable.get(volume.reason, UNJUDGED), volume.volume * YEAR / days
    event = forerunners and forerunners.best(volume.reason, a_year=a_year, avoidable=part, price=price)
    value = event.value if event else None
    score = volume.score if forerunners is None else value.low if value else 0.0
    return Candidate(volume=volume, a_year=a_year, avoidable=part, event=event, value=value, score=score)


def wanted(
    volumes: Volumes, found: Sequence[Candidate], *, events: bool, cost: bool, told: bool, judged: int, days_only: bool
) -> list[str]:
    """Returns what data would sharpen the ranking, most telling first, a sentence each.

    `events`, `cost` and `told` say whether operational events, the cost of a contact and that of telling were given;
    `judged` counts the reasons whose avoidability was; `days_only` says that contacts have no time of day.
    """
    said = []
    if not events:
        said.append(
            "operational events (late parcels, failed payments): a frequent reason that no event foretells cannot be"
            " told first, and this ranking does not know which those are"
        )
    if volumes.full_weeks < FEW_WEEKS:
        said.append(
            f"a longer period: {FEW_WEEKS} full weeks or more show what is steady, and this has {volumes.full_weeks}"
        )
    if volumes.silent_weeks:
        said.append(
            f"the weeks without any contact ({volumes.silent_weeks} of {volumes.full_weeks}),"
            " if the export left them out"
        )
    if not cost:
        said.append("the cost of a contact, to rank by money")
    if events and cost and not told:
        said.append("the cost of telling one customer: without it, telling everybody looks free")
    if (events or cost) and judged < len(found):
        said.append(
            f"the owner's judgement how far a contact can be avoided: {UNJUDGED:g} is assumed for"
            f" {len(found) - judged} of {len(found)} reasons"
        )
    if events and days_only:
        said.append("the time of day of contacts: with days alone the lead time is rough")
    if seldom := sum(_seldom(one.event) for one in found):
        said.append(
            f"a narrower trigger for {seldom} of {len(found)} reasons: fewer than {SELDOM:.0%} of their events are"
            " followed by a contact, so that telling everybody would be mostly noise"
        )
    if events:
        said.append("the measured effect of outreaches with a hold-out: the share avoided is so far assumed")
    return said


def _seldom(event: Forerunner | None) -> bool:
    """Tells whether an event does foretell contacts, but so few that most of those told would never have called."""
    return event is not None and event.in_time.low > 0 and event.followed is not None and event.followed.value < SELDOM
