"""`load`: what telling first asks of people, and how long what they do waited for them."""

from datetime import timedelta
from typing import Annotated

import typer

from tellfirst.cli.instants import read_instant, read_zone
from tellfirst.cli.output import Json, counted, length, print_json, print_table, say
from tellfirst.cli.wiring import opened
from tellfirst.measurement.load import PersonLoad, Waited, team_load
from tellfirst.policy.quiet import HoursTable

EVERYONE = "everyone"


def load(
    since: Annotated[str, typer.Option(metavar="ISO8601", help="Only what happened from here on.")] = "",
    zone: Annotated[
        str, typer.Option(metavar="IANA", help="Where your people work; default TELLFIRST_DEFAULT_ZONE, else UTC.")
    ] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Show what telling customers first asks of people.

    Who decides, looks into exceptions and answers escalations, and how long those waited. Business hours are those of
    TELLFIRST_HOURS, by default Monday to Friday from 9 to 17. Medians are of all that was decided or taken; an
    escalation that nobody has taken is counted below.
    """
    after = read_instant(since, "--since") if since else None
    with opened() as here:
        where = read_zone(zone or here.settings.default_zone or "UTC", "--zone").key
        at_work = HoursTable.load(here.settings.hours).at_work(where)
        found = team_load(here.load.duties(since=after), at_work)
    if as_json:
        print_json({"since": after and after.isoformat(), "zone": where, **found.model_dump(mode="json")})
        return
    if not found.people and not found.open:
        say("nobody has decided, asked for or taken anything" + (" since then" if after else " yet"))
        return
    columns = ("who", "decisions", "approvals", "waited", "longest", "after hours", "exceptions", "asked for",
               "escalations", "taken after", "longest taken")  # fmt: skip
    print_table(columns, [_row(one) for one in (*found.people, found.everyone)], numbers=columns[1:])
    say(
        f"waited: from planned to decided, median and longest; after hours: in {where};"
        f" {counted(found.open, 'escalation')} with nobody on it"
    )


def _row(one: PersonLoad) -> tuple[str, ...]:
    return (
        one.person or EVERYONE,
        f"{one.decisions:,}",
        f"{one.approvals:,}",
        *_waits(one.waited),
        f"{one.after_hours:,}",
        f"{one.exceptions:,}",
        f"{one.asked:,}",
        f"{one.escalations:,}",
        *_waits(one.acknowledged),
    )


def _waits(waited: Waited | None) -> tuple[str, str]:
    if waited is None:
        return "-", "-"
    return length(timedelta(seconds=waited.median)), length(timedelta(seconds=waited.longest))
