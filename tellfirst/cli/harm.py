"""What `show` says of harm: each rule against its limit, and what was crossed."""

from collections.abc import Iterator
from datetime import UTC, datetime

from tellfirst.cli.output import when
from tellfirst.cli.wiring import Installation
from tellfirst.domain.base import Frozen
from tellfirst.measurement.harm import Standing
from tellfirst.playbooks.loader import parse
from tellfirst.store.harm import HarmEvent
from tellfirst.store.outreaches import OutreachRecord, RevisionRecord


class Watched(Frozen):
    """Is how an outreach stands by each rule while it runs, and whatever was crossed; both empty before it sends."""

    standings: tuple[Standing, ...] = ()
    events: tuple[HarmEvent, ...] = ()

    @property
    def holds(self) -> bool:
        """Says whether a crossing waits for a person."""
        return any(event.accepted is None for event in self.events)


def harm_of(here: Installation, outreach: OutreachRecord, revision: RevisionRecord | None) -> Watched:
    """Returns what is known of an outreach's harm."""
    events = tuple(here.harm.events(outreach.id))
    if revision is None or outreach.closed_at is not None:
        return Watched(events=events)
    limits = parse(revision.playbook_text, "the planned playbook").playbook.harm
    now = here.harm.standings(outreach.id, limits, now=datetime.now(UTC))
    return Watched(standings=tuple(one for one in now if one.figure is not None), events=events)


def harm_lines(watched: Watched) -> Iterator[tuple[str, str]]:
    """Yields a line for each crossing, with what to do, and one for each rule that can be judged."""
    for event in watched.events:
        if event.accepted is None:
            do = "`tellfirst resume` accepts it as it is, `tellfirst abort` ends it"
        else:
            do = f"somebody let it go on, seen {when(event.accepted_at)}"
        yield "harm", f"paused {when(event.at)}: {event.words}; {do}"
    for number, one in enumerate(watched.standings):
        yield "" if number or watched.events else "harm", f"now: {one.words}"
