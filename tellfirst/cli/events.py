"""`tellfirst events`: which systems are told what happens, how far behind they are, and what they would not take."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from tellfirst.cli.output import Json, counted, length, print_json, print_table, say, when
from tellfirst.cli.wiring import opened
from tellfirst.errors import NotFoundError
from tellfirst.store.feed import EndpointStanding

Retry = Annotated[
    str, typer.Option("--retry", metavar="ENDPOINT", help="Let what an endpoint would not take be tried again.")
]


def events(retry: Retry = "", as_json: Annotated[bool, Json] = False) -> None:
    """Show which systems are told what happens.

    With what waits for each, and what it would not take.
    """
    with opened() as here:
        if retry:
            if not here.feed.registered(retry):
                raise NotFoundError("no system of that name is told", where=retry, remedy="see `tellfirst events`")
            again = here.feed.retry(retry)
        standings = here.feed.standings()
    if as_json:
        print_json([standing.model_dump(mode="json") for standing in standings])
        return
    if retry:
        say(f"{counted(again, 'event')} of '{retry}' will be tried again.")
    _print(standings)


def _print(standings: list[EndpointStanding]) -> None:
    if not standings:
        say("No other system is told what happens; TELLFIRST_EVENTS_OUT names those that are, see docs/events.md.")
        return
    columns = ("endpoint", "told of", "waiting", "behind", "parked", "last taken", "last failure")
    rows = [
        (
            one.name,
            ", ".join(one.types),
            f"{one.waiting:,}",
            length(datetime.now(UTC) - one.oldest) if one.oldest else "-",
            f"{len(one.parked):,}",
            when(one.last_delivered_at),
            f"{one.last_detail} ({counted(one.failing, 'event')})" if one.failing else "-",
        )
        for one in standings
    ]
    print_table(columns, rows, numbers=("waiting", "parked"))
    for one in standings:
        for event in one.parked[:20]:
            said = f"{counted(event.attempts, 'attempt')}, the last said {event.detail}"
            say(f"parked for {one.name}: {event.type} of {when(event.at)}, {event.outreach or event.id} ({said})")
        if len(one.parked) > 20:
            say(f"… and {len(one.parked) - 20:,} more for {one.name}")
        if one.parked:
            say(f"Once it takes them: tellfirst events --retry {one.name}")
