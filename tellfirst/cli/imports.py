"""`customers import`: a file from outside, checked whole before anything of it is kept."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import phonenumbers
import typer
from email_validator import EmailNotValidError, validate_email

from tellfirst.cli.csv_rows import Malformed, read_rows, tell_malformed
from tellfirst.cli.instants import read_zone
from tellfirst.cli.output import Json, counted, note, print_json, say
from tellfirst.cli.wiring import opened
from tellfirst.domain.condition import personal_pattern
from tellfirst.domain.message import Channel
from tellfirst.errors import InputError, RowError
from tellfirst.store.contacts import Contact
from tellfirst.store.customers import CustomerRecord, Customers

CHANNELS: tuple[str, ...] = get_args(Channel)
ABOUT = ("id", "first_name", "locale", "timezone", "region", "business", "high_value", "preferred", "cluster")
CUSTOMER_COLUMNS = (*ABOUT, *CHANNELS, "opt_out")
YES, NO = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0", ""})
PART = 2_000
"""Rows of one transaction: whoever else writes waits for one part, not for the whole file."""

T = TypeVar("T", CustomerRecord, Contact)

customers = typer.Typer(help="The people who may be written to.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE.csv", help="A CSV file in UTF-8 whose first line names columns.")]
Strict = Annotated[bool, typer.Option("--strict", help="Load nothing when one row is malformed.")]


@customers.callback()
def _customers() -> None:
    pass


@customers.command("import")
def import_customers(file: File, strict: Strict = False, as_json: Annotated[bool, Json] = False) -> None:
    """Add or replace customers from a CSV file.

    Columns: id, first_name, locale, timezone, region (ISO 3166: DE or US-CA), business, high_value (yes or no),
    preferred (a channel), cluster (account), sms, whatsapp, voice, email, push, in_app, person, opt_out. Only id is
    required; the others are emptied where they are left out, but who comes without a cluster stays in theirs. opt_out
    lists channels separated by semicolons, or * for all. An import never undoes an opt-out, a merge of accounts, nor
    what a customer chose themselves. The whole file is checked before its first row is saved; after an interruption
    import it again.
    """
    refuse_pipe(file)

    def rows(doing: str) -> Iterator[CustomerRecord | Malformed]:
        return read_rows(file, columns=CUSTOMER_COLUMNS, required=("id",), build=once(read_customer), doing=doing)

    malformed = [row for row in rows("checking") if isinstance(row, Malformed)]
    tell_malformed(file, malformed, strict=strict)
    told = set(malformed)

    def good() -> Iterator[CustomerRecord]:
        for row in rows("saving"):
            if not isinstance(row, Malformed):
                yield row
            elif row not in told:
                raise InputError("changed while it was imported", where=str(file), remedy="import it again")

    with opened() as here:
        saved, replaced = save_in_parts(here.customers, good(), now=datetime.now(UTC))
    if as_json:
        skipped = [row.model_dump() for row in malformed]
        print_json({"imported": saved, "new": saved - replaced, "replaced": replaced, "skipped": skipped})
    else:
        say(
            f"{counted(saved, 'customer')} imported: {saved - replaced:,} new, {replaced:,} replaced; "
            f"{counted(len(malformed), 'row')} skipped"
        )


def save_in_parts(customers: Customers, records: Iterable[CustomerRecord], *, now: datetime) -> tuple[int, int]:
    """Saves customers a part at a time, each whole, and returns how many, and how many of them were known before.

    What interrupts it is told how far it came, and goes on.
    """
    saved = replaced = 0
    left = iter(records)
    try:
        while part := list(islice(left, PART)):
            replaced += len(customers.known([record.id for record in part]))
            customers.save(part, now=now, source="import")
            saved += len(part)
    except BaseException:
        note(f"interrupted: {counted(saved, 'customer')} saved; import the file again, it changes nothing for them")
        raise
    return saved, replaced


def refuse_pipe(file: Path) -> None:
    """Raises InputError for what can be read only once."""
    if file.exists() and not file.is_file():
        raise InputError("is not a file that can be read twice", where=str(file), remedy="save it as a file")


def once(read: Callable[[dict[str, str]], T]) -> Callable[[dict[str, str]], T]:
    """Returns `read`, which refuses an id that it has seen before."""
    seen: set[str] = set()

    def build(row: dict[str, str]) -> T:
        made = read(row)
        if made.id in seen:
            raise RowError("repeats the id of an earlier row")
        seen.add(made.id)
        return made

    return build


def read_customer(row: dict[str, str]) -> CustomerRecord:
    """Returns the customer of a row; raises RowError naming the column, never the value."""
    id_ = reference(row, "id")
    name = row.get("first_name") or None
    if name is not None and len(name) > 100:
        raise RowError("'first_name' is longer than 100 characters")
    zone = row.get("timezone") or None
    if zone is not None:
        read_zone(zone, "timezone", error=RowError)
    addresses = {c: read(row[c], c) for c, read in READ_ADDRESS.items() if row.get(c)}
    return CustomerRecord(
        id=id_,
        first_name=name,
        locale=_locale(row.get("locale") or "en"),
        timezone=zone,
        region=_region(row.get("region", "")),
        business=_yes(row, "business"),
        high_value=_yes(row, "high_value"),
        preferred=_preferred(row.get("preferred", "")),
        cluster=reference(row, "cluster") if row.get("cluster") else id_,
        addresses=addresses,
        opted_out=_opt_outs(row.get("opt_out", "")),
    )


def reference(row: dict[str, str], column: str) -> str:
    """Returns an opaque id; raises RowError for one that is empty, too long or personal."""
    value = row[column]
    if not 1 <= len(value) <= 200:
        raise RowError(f"'{column}' is {'empty' if not value else 'longer than 200 characters'}")
    if kind := personal_pattern(value):
        raise RowError(f"'{column}' looks like {kind}, it must be an opaque id")
    return value


def _locale(text: str) -> str:
    language, _, country = text.replace("-", "_").partition("_")
    plain = language.isascii() and country.isascii() and language.isalpha()
    if not plain or len(language) != 2 or (country and not (len(country) == 2 and country.isalpha())):
        raise RowError("'locale' is not like 'en' or 'en_GB'")
    return f"{language.lower()}_{country.upper()}" if country else language.lower()


def _region(text: str) -> str | None:
    country, dash, part = text.upper().partition("-")
    whole = country in phonenumbers.SUPPORTED_REGIONS and (not dash or re.fullmatch("[0-9A-Z]{1,3}", part))
    if text and not whole:
        raise RowError("'region' is not a country or a part of one like 'DE' or 'US-CA' (ISO 3166)")
    return text.upper() or None


def _yes(row: dict[str, str], column: str) -> bool:
    said = row.get(column, "").lower()
    if said not in YES | NO:
        raise RowError(f"'{column}' is neither yes nor no")
    return said in YES


def _preferred(text: str) -> str | None:
    if text.lower() not in ("", *CHANNELS):
        raise RowError(f"'preferred' is not one of {', '.join(CHANNELS)}")
    return text.lower() or None


def _phone(text: str, column: str) -> str:
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise RowError(f"'{column}' is not a valid number with its country code (+…)")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _email(text: str, column: str) -> str:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        raise RowError(f"'{column}' is not a valid address") from None


def _in_app(text: str, column: str) -> str:
    if len(text) > 200:
        raise RowError(f"'{column}' is longer than 200 characters")
    return text


def _push(text: str, column: str) -> str:
    if len(text) > 2_000 or not re.fullmatch(r"[!-~]+", text):
        raise RowError(f"'{column}' is not the registration token of a device")
    return text


READ_ADDRESS = {
    "sms": _phone,
    "whatsapp": _phone,
    "voice": _phone,
    "email": _email,
    "push": _push,
    "in_app": _in_app,
    "person": _phone,
}


def _opt_outs(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip().lower() for part in text.split(";") if part.strip()))
    if any(name not in ("*", *CHANNELS) for name in names):
        raise RowError(f"'opt_out' may name {', '.join(CHANNELS)} separated by semicolons, or *")
    return names
