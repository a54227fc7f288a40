"""`contacts …`: what customers contacted support about, where it comes from, and what its codes mean."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from tellfirst.cli.csv_rows import Malformed, read_rows, tell_malformed
from tellfirst.cli.imports import NO, PART, YES, File, Strict, once, reference, refuse_pipe
from tellfirst.cli.instants import read_instant, read_zone
from tellfirst.cli.output import Json, counted, length, note, print_json, print_table, say
from tellfirst.cli.steer import By
from tellfirst.cli.wiring import Installation, opened, read_library, whoever
from tellfirst.domain.condition import personal_pattern
from tellfirst.errors import InputError, RowError
from tellfirst.store.contacts import LONGEST, OURS, Contact, Contacts, Saved
from tellfirst.store.sources import SourceRecord

REQUIRED = ("id", "customer_id", "reason_code", "occurred_at")
COLUMNS = (*REQUIRED, "channel", "handle_seconds", "resolved_at", "withdrawn")
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
QUIET = timedelta(days=1)
"""How long a source may be behind before it is remarked on."""

contacts = typer.Typer(help="What customers contacted support about.", no_args_is_help=True)


class FirstReading:
    """Is what a first reading of a file found: whom and what its contacts are about, and how far they go."""

    def __init__(self) -> None:
        self.customers, self.codes = set[str](), set[str]()
        self.last: datetime | None = None

    def add(self, contact: Contact) -> None:
        """Adds a contact."""
        self.customers.add(contact.customer)
        self.codes.add(contact.reason_code)
        self.last = max(self.last or contact.occurred_at, contact.occurred_at)


@contacts.command("import")
def import_contacts(
    file: File,
    source: Annotated[str, typer.Option(help="Name of the helpdesk the contacts come from.")],
    through: Annotated[
        str, typer.Option(metavar="ISO8601", help="All contacts up to here are in the file; default its latest one.")
    ] = "",
    strict: Strict = False,
    zone: Annotated[str, typer.Option(metavar="IANA", help="Zone of instants that name none; default UTC.")] = "UTC",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Add or correct support contacts from a CSV file.

    Columns: id, customer_id, reason_code, occurred_at (ISO 8601), channel, handle_seconds (whole ones), resolved_at,
    withdrawn (yes, or no for one that stands after all). Cells that are left empty say nothing. A contact that is told
    as it was told before changes nothing, so a file may be imported again. The whole file is checked before its first
    row is saved, and the source counts as complete up to its end when all of them are.
    """
    refuse_pipe(file)
    name, local = _source(source), read_zone(zone, "--zone")
    given = read_instant(through, "--through") if through else None

    def rows(doing: str) -> Iterator[Contact | Malformed]:
        build = once(lambda row: read_contact(row, local))
        return read_rows(file, columns=COLUMNS, required=REQUIRED, build=build, doing=doing)

    malformed, first = list[Malformed](), FirstReading()
    for row in rows("checking"):
        malformed.append(row) if isinstance(row, Malformed) else first.add(row)
    tell_malformed(file, malformed, strict=strict)
    told, now = set(malformed), datetime.now(UTC)
    if given is not None and given > now:
        note("the contacts are said to be complete up to an instant that has not come: windows may close too early")
    mark = given or (first.last and min(first.last, now))

    def good() -> Iterator[Contact]:
        for row in rows("saving"):
            if not isinstance(row, Malformed):
                yield row
            elif row not in told:
                raise InputError("changed while it was imported", where=str(file), remedy="import it again")

    with opened() as here:
        saved = save_in_parts(here.contacts, good(), source=name, through=mark, clock=lambda: datetime.now(UTC))
        strangers = len(first.customers) - len(here.customers.known(sorted(first.customers)))
        unknown = sorted(first.codes - _reasons(here) - here.reason_codes.mapped(first.codes))
        stands = here.contacts.through(name)
    if as_json:
        print_json(
            {
                **saved.model_dump(),
                "skipped": [row.model_dump() for row in malformed],
                "unknown_customers": strangers,
                "unknown_reasons": unknown,
                "through": stands.isoformat() if stands else None,
            }
        )
        return
    say(
        f"{counted(saved.new, 'contact')} new, {saved.corrected:,} corrected, {saved.withdrawn:,} withdrawn, "
        f"{saved.known:,} known already; {counted(len(malformed), 'row')} skipped"
    )
    if strangers:
        are = "is" if strangers == 1 else "are"
        say(f"{strangers:,} of their customers {are} not among ours; these contacts are kept")
    if unknown:
        shown = ", ".join(code or "no code" for code in unknown[:20])
        say(f"kept, but no playbook measures: {shown}{' …' if len(unknown) > 20 else ''}")
        say("say what these stand for with `tellfirst contacts map`")
    if stands:
        before = ", as they were before" if mark is not None and mark < stands else ""
        say(f"contacts of '{name}' are complete through {stands.isoformat()}{before}")


@contacts.command("sources")
def list_sources(as_json: Annotated[bool, Json] = False) -> None:
    """List where contacts come from.

    The source that is farthest behind comes first. A window closes once every source that ever said how far it is
    complete has passed its end.
    """
    now = datetime.now(UTC)
    with opened() as here:
        found = here.sources.all()
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    if not found:
        say("no contacts yet; see `tellfirst contacts import --help`")
        return
    columns = ["source", "complete through", "last heard of", "contacts", "corrected", "withdrawn", "mapped"]
    rows = [_row(one) for one in found]
    print_table(columns, rows, numbers=columns[3:])
    for one in found:
        if said := _remark(one, now):
            say(said)


@contacts.command("map")
def map_code(
    given: Annotated[str | None, typer.Argument(metavar="[GIVEN]", help="A code as the helpdesk says it.")] = None,
    reason: Annotated[str | None, typer.Argument(metavar="[REASON]", help="The reason code it stands for.")] = None,
    by: By = "",
    listed: Annotated[bool, typer.Option("--list", help="List what is mapped instead.")] = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Say what a code of the helpdesk stands for.

    It holds for all contacts that come, and corrects those that are here; what they said before is kept.
    """
    if listed:
        _list_codes(as_json)
        return
    if given is None or reason is None:
        raise InputError("needs GIVEN and REASON, or --list", where="contacts map", remedy="see --help")
    for text, where in ((given, "GIVEN"), (reason, "REASON")):
        if len(text) > 100 or personal_pattern(text) or (not text and where == "REASON"):
            raise InputError("is not a code of 1 to 100 characters", where=where, remedy="copy it from the list")
    with opened() as here:
        who = whoever(by, here.settings)
        corrected = here.reason_codes.map(given, reason, by=who, now=datetime.now(UTC))
        measured = reason in _reasons(here)
    if not measured:
        note(f"no playbook measures '{reason}'")
    if as_json:
        print_json({"given": given, "reason": reason, "corrected": corrected})
        return
    say(f"'{given}' stands for '{reason}'; {counted(corrected, 'contact')} corrected")


@contacts.command("unmapped")
def list_unmapped(as_json: Annotated[bool, Json] = False) -> None:
    """List the codes that nobody has mapped.

    Those that are a reason of a playbook need no mapping; of the others the one with most contacts comes first. Their
    contacts are kept, and count as contacts about another reason.
    """
    with opened() as here:
        found = here.reason_codes.unmapped(_reasons(here))
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    if not found:
        say("every code is a reason of a playbook, or mapped")
        return
    columns = ["code", "contacts", "first", "last", "sources"]
    rows = [
        (one.given or "(none)", f"{one.contacts:,}", _at(one.first), _at(one.last), ", ".join(one.sources))
        for one in found
    ]
    print_table(columns, rows, numbers=["contacts"])


def read_contact(row: dict[str, str], zone: ZoneInfo) -> Contact:
    """Returns the contact of a row, an instant without a zone read in `zone`; raises RowError."""
    reason = row["reason_code"]
    if len(reason) > 100 or personal_pattern(reason):
        raise RowError("'reason_code' is not a code of at most 100 characters")
    occurred = _instant(row["occurred_at"], "occurred_at", zone)
    resolved = _instant(row["resolved_at"], "resolved_at", zone) if row.get("resolved_at") else None
    if resolved is not None and resolved < occurred:
        raise RowError("'resolved_at' is before 'occurred_at'")
    return Contact(
        id=reference(row, "id"),
        customer=reference(row, "customer_id"),
        reason_code=reason,
        occurred_at=occurred,
        channel=row.get("channel", "")[:100],
        handle_seconds=_seconds(row.get("handle_seconds", "")),
        resolved_at=resolved,
        withdrawn=_withdrawn(row.get("withdrawn", "")),
    )


def save_in_parts(
    contacts: Contacts, good: Iterator[Contact], *, source: str, through: datetime | None, clock: Callable[[], datetime]
) -> Saved:
    """Saves contacts a part at a time, each whole; only after the last one is the source complete up to `through`."""
    saved, done = Saved(), 0
    try:
        while part := list(islice(good, PART)):
            saved += contacts.save(part, source=source, through=None, now=clock())
            done += len(part)
        contacts.save([], source=source, through=through, now=clock())
    except BaseException:
        note(f"interrupted: {counted(done, 'contact')} saved; import the file again, it changes nothing for them")
        raise
    return saved


def _instant(text: str, column: str, zone: ZoneInfo) -> datetime:
    if len(text) <= len("2026-01-31"):
        raise RowError(f"'{column}' is a day and no instant: a window needs the time")
    instant = read_instant(text, column, zone=zone, error=RowError)
    if not EARLIEST < instant < LATEST:
        raise RowError(f"'{column}' is no instant of our time")
    return instant


def _seconds(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= LONGEST):
        raise RowError("'handle_seconds' is not a number of whole seconds")
    return int(text)


def _withdrawn(text: str) -> bool | None:
    if text.lower() not in YES | NO:
        raise RowError("'withdrawn' is neither yes nor no")
    return text.lower() in YES if text else None


def _source(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= 200 or personal_pattern(name):
        raise InputError("a source needs a plain name", where="--source", remedy="use the name of the system")
    if name in OURS:
        raise InputError("is what our own contacts are kept under", where="--source", remedy="use another name")
    return name


def _reasons(here: Installation) -> set[str]:
    return {loaded.playbook.reason_code for loaded in read_library(here.settings).values()}


def _list_codes(as_json: bool) -> None:
    with opened() as here:
        found = here.reason_codes.all()
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    if not found:
        say("nothing is mapped; see `tellfirst contacts unmapped`")
        return
    columns = ["code", "reason", "contacts", "since", "by"]
    rows = [(one.given or "(none)", one.reason, f"{one.contacts:,}", _at(one.at), one.by) for one in found]
    print_table(columns, rows, numbers=["contacts"])


def _at(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M}Z" if instant else "-"


def _row(one: SourceRecord) -> tuple[str, ...]:
    counts = (one.contacts, one.corrected, one.withdrawn, one.mapped)
    return (one.source, _at(one.through), _at(one.heard), *(f"{count:,}" for count in counts))


def _remark(one: SourceRecord, now: datetime) -> str:
    if one.source in OURS:
        return ""
    if one.through is None:
        return f"'{one.source}' never said how far it is complete: no window waits for it"
    if now - one.through < QUIET:
        return ""
    silent = f", and was last heard of {length(now - one.heard)} ago" if one.heard and now - one.heard >= QUIET else ""
    return f"'{one.source}' is {length(now - one.through)} behind{silent}: windows that end later wait for it"
