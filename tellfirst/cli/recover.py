"""`recover`: what may have left since a backup is asked about, and does not leave again, before anything else does."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tellfirst.cli.instants import read_instant
from tellfirst.cli.output import Json, counted, note, print_json, print_table, progress, say, when
from tellfirst.cli.paused import name_pause
from tellfirst.cli.provider_log import CHANNEL, Logged, messages
from tellfirst.cli.wiring import Installation, opened, whoever
from tellfirst.errors import InputError
from tellfirst.settings import Settings
from tellfirst.store.audit import Audit
from tellfirst.store.recovery import Recovered

OPEN = ("pending", "approved")


def recover(
    since: Annotated[str, typer.Option(metavar="INSTANT", help="When the backup was made, as `backup` printed it.")],
    provider_log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="All texts that the provider accepted since: JSON lines of sid, to, body."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would come to.")] = False,
    by: Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who does it; default your login.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Make a restored database safe to send from.

    Stop all workers first. It pauses everything, and takes whatever may have left since for a request without an
    answer: the provider is asked about it, and what nobody knows is held for a person. With --provider-log what stands
    there is adopted, and texts that do not are known not to have left.
    """
    settings, now = Settings.load(), datetime.now(UTC)
    began = read_instant(since, "--since")
    if began > now:
        raise InputError("the backup cannot be made in the future", where="--since")
    who = whoever(by, settings)
    with opened(settings) as here:
        if not dry_run and here.controls.pause() is None:
            here.controls.pause_all(name_pause(now), by=who, at=now)
        log = None if provider_log is None else GapLog(here.audit, provider_log)
        found = _recovered(here, log, began, now, dry_run=dry_run)
        strangers = [] if log is None else log.left_over()
        held = 0
        if not dry_run:
            held = here.recovery.hold(strangers, channel=CHANNEL, at=now)
            here.recovery.close(_sum(found), since=began, by=who, at=now)
    if as_json:
        outreaches = {name: one.model_dump() for name, one in found.items()}
        print_json({"since": began.isoformat(), "outreaches": outreaches, "strays": len(strangers), "held": held})
        return
    rows = [(name, one.asked, one.adopted, one.aside) for name, one in found.items()]
    columns = ("outreach", "to ask about", "adopted", "set aside")
    if rows:
        print_table(columns, rows, numbers=columns[1:])
    say(f"{counted(len(rows), 'outreach', 'outreaches')} may have told somebody since {when(began)}")
    if strangers:
        note(
            f"{counted(len(strangers), 'number')} got texts that this database knows nothing of: {held:,} of their "
            "customers are held, `tellfirst holds` lists them"
        )
    if dry_run:
        say("nothing was changed")
        return
    note("everything is paused: bring in the opt-outs since then, then `tellfirst restart --all --replace`")


class GapLog:
    """Is the provider's log as evidence: those of its messages that no send of the database has."""

    def __init__(self, audit: Audit, path: Path) -> None:
        self._by_send: dict[str, Logged] = {}
        self._to: defaultdict[str, list[Logged]] = defaultdict(list)
        for lines in messages(path):
            known = {send.provider_id for send in audit.sends_as([line.sid for line in lines])}
            for line in lines:
                if line.sid not in known:
                    self._to[line.to].append(line)
                    if line.send:
                        self._by_send[line.send] = line

    def covers(self, channel: str) -> bool:
        """Says whether it knows all that left on a channel."""
        return channel == CHANNEL

    def sid(self, send: str, address: str, text: str) -> str | None:
        """Returns the provider's id of a send, empty where it did not leave, None where it may have."""
        nameless = [line for line in self._to.get(address, ()) if not line.send]
        found = self._by_send.pop(send, None) or next((line for line in nameless if line.text == text), None)
        if found is not None:
            self._to[found.to].remove(found)
            return found.sid
        return None if nameless and not text else ""

    def left_over(self) -> list[str]:
        """Returns the addresses of messages that nothing in the database accounts for."""
        return sorted(address for address, lines in self._to.items() if lines)


def _recovered(
    here: Installation, log: GapLog | None, since: datetime, now: datetime, *, dry_run: bool
) -> dict[str, Recovered]:
    found: dict[str, Recovered] = {}
    outreaches = here.outreaches.all(open_only=True)
    with progress("recovering outreaches", len(outreaches)) as step:
        for outreach in outreaches:
            numbers = range(1, here.outreaches.latest_revision(outreach.id) + 1)
            revisions = [here.outreaches.revision(outreach.id, number) for number in numbers]
            done = {
                f"{outreach.id}#{one.number}": here.recovery.recover(one, log, since=since, now=now, dry_run=dry_run)
                for one in revisions
                if one is not None and one.status in OPEN
            }
            total = _sum(done)
            if total != Recovered():
                found[outreach.id] = total
            step(1)
    return found


def _sum(found: dict[str, Recovered]) -> Recovered:
    total: Counter[str] = Counter()
    for one in found.values():
        total.update(one.model_dump())
    return Recovered(**total)
