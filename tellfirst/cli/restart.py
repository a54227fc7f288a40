"""`restart`: outreaches that are open in our database and have no workflow any more go on from where it says."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from tellfirst.cli.output import Json, counted, note, print_json, print_table, say
from tellfirst.cli.wiring import Installation, opened, whoever, with_outreaches
from tellfirst.client import OutreachClient
from tellfirst.errors import InputError
from tellfirst.settings import Settings


def restart(
    outreaches: Annotated[
        list[str] | None, typer.Argument(metavar="OUTREACH", help="Outreaches as `stuck` lists them; or --all.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every outreach that is open in the database.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Those too whose workflow runs; it is terminated first.")
    ] = False,
    by: Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who does it; default your login.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Start anew outreaches whose workflow is gone.

    Each goes on from where the database says that it stood: what left stays sent, what is in doubt is asked about, what
    was planned leaves if it is still in time, and what people decided holds. One whose workflow runs is left alone.
    """
    if bool(outreaches) == everything:
        raise InputError("name outreaches, or give --all", remedy="`tellfirst stuck` lists them")
    settings = Settings.load()
    who = whoever(by, settings)
    with opened(settings) as here:
        chosen = outreaches or [record.id for record in here.outreaches.all(open_only=True)]
        began = with_outreaches(lambda client: _restart(here, client, chosen, who, replace=replace))
    if as_json:
        print_json({"restarted": began, "left_alone": [name for name in chosen if name not in began]})
        return
    if began:
        print_table(("outreach",), [(name,) for name in began])
    say(f"{counted(len(began), 'outreach', 'outreaches')} started anew")
    if alone := len(chosen) - len(began):
        note(f"{counted(alone, 'workflow')} ran and {'was' if alone == 1 else 'were'} left alone; --replace ends them")


async def _restart(
    here: Installation, client: OutreachClient, chosen: list[str], by: str, *, replace: bool
) -> list[str]:
    runs = set() if replace else await client.running()
    began = []
    for name in chosen:
        if name in runs:
            continue
        record = here.outreaches.get(name)
        if replace and record is not None and not record.ending:  # all others are refused, and nothing of them ends
            # Before the release, or the one that ends could be the one that takes the row.
            await client.terminate(name, f"replaced by {by}")
        # Before the start: a workflow that finds the row taken ends as a duplicate.
        condition = here.restarts.release(name, by=by, at=datetime.now(UTC))
        if await client.restart(condition, replace=replace):
            began.append(name)
    return began
