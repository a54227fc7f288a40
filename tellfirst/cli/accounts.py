"""`accounts import`: what became of accounts, from the system that bills them."""

from datetime import UTC, datetime
from typing import Annotated, get_args
from zoneinfo import ZoneInfo

import typer

from tellfirst.cli.csv_rows import Malformed, read_rows, tell_malformed
from tellfirst.cli.imports import File, Strict, reference, refuse_pipe
from tellfirst.cli.instants import read_instant, read_zone
from tellfirst.cli.output import Json, counted, print_json, say
from tellfirst.cli.wiring import opened
from tellfirst.domain.beside import AccountEvent
from tellfirst.domain.condition import personal_pattern
from tellfirst.errors import InputError, RowError
from tellfirst.store.account_events import AccountNews

REQUIRED = ("account", "at", "event")
COLUMNS = (*REQUIRED, "value_minor")
EVENTS: tuple[AccountEvent, ...] = get_args(AccountEvent)
MOST = 10**15

accounts = typer.Typer(help="What became of accounts: who stayed, and at what value.", no_args_is_help=True)


@accounts.callback()
def _accounts() -> None:
    pass


@accounts.command("import")
def import_accounts(
    file: File,
    source: Annotated[str, typer.Option(help="Name of the system the events come from.")],
    strict: Strict = False,
    zone: Annotated[str, typer.Option(metavar="IANA", help="Zone of instants that name none; default UTC.")] = "UTC",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Add what became of accounts from a CSV file, and correct what it tells otherwise than before.

    Columns: account (a customer's cluster), at (ISO 8601), event (retained, churned, expanded or contracted),
    value_minor (how much of the account's value it is about, in minor units; may be left out). What is told as before
    changes nothing, so a file may be imported again. A source tells one event of an account and instant.
    """
    refuse_pipe(file)
    if not source.strip() or personal_pattern(source):
        raise InputError("a source needs a plain name", where="--source", remedy="use the name of the system")
    local, seen = read_zone(zone, "--zone"), set[tuple[str, datetime]]()

    def build(row: dict[str, str]) -> AccountNews:
        one = read_news(row, local)
        if (one.account, one.at) in seen:
            raise RowError("repeats the account and instant of an earlier row")
        seen.add((one.account, one.at))
        return one

    good: list[AccountNews] = []
    malformed: list[Malformed] = []
    for row in read_rows(file, columns=COLUMNS, required=REQUIRED, build=build):
        malformed.append(row) if isinstance(row, Malformed) else good.append(row)
    tell_malformed(file, malformed, strict=strict)
    with opened() as here:
        taken = here.account_events.save(good, source=source.strip(), now=datetime.now(UTC))
    if as_json:
        print_json({**taken.model_dump(), "skipped": [row.model_dump() for row in malformed]})
    else:
        say(
            f"{counted(taken.new, 'event')} new, {taken.corrected:,} corrected, {taken.known:,} known already,"
            f" {counted(len(malformed), 'row')} skipped"
        )


def read_news(row: dict[str, str], zone: ZoneInfo) -> AccountNews:
    """Returns the event of a row, an instant without a zone read in `zone`; raises RowError naming the column."""
    if row["event"] not in EVENTS:
        raise RowError(f"'event' is none of {', '.join(EVENTS)}")
    value = row.get("value_minor", "")
    if value and not (value.isascii() and value.isdecimal() and int(value) <= MOST):
        raise RowError("'value_minor' is no whole number of minor units, 0 or more")
    return AccountNews(
        account=reference(row, "account"),
        at=read_instant(row["at"], "at", zone=zone, error=RowError),
        event=row["event"],
        value_minor=int(value) if value else None,
    )
