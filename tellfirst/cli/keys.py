"""`keys list|whoami|check|add|revoke`: who may decide with which key; changes are printed, to be deployed like code."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from tellfirst.cli.decide import Key
from tellfirst.cli.instants import read_instant
from tellfirst.cli.output import Json, counted, note, print_json, print_table, say, when
from tellfirst.cli.registry_change import NewKey, RegistryText
from tellfirst.cli.ssh_key import choose_key, public_part
from tellfirst.cli.staffing import findings, may_propose
from tellfirst.cli.wiring import read_library
from tellfirst.errors import DecisionRefusedError, InputError, NotFoundError, RefusedError
from tellfirst.playbooks.answers import major
from tellfirst.playbooks.boundaries import Boundary
from tellfirst.playbooks.schema import Playbook
from tellfirst.settings import Settings
from tellfirst.signing.keys import SigningKey
from tellfirst.signing.registry import Person, RegisteredKey, Registry
from tellfirst.signing.rules import LIBRARY_APPROVER, PRIVACY_OWNER, RESUMERS

keys = typer.Typer(
    help="Who may decide with which key. Nothing here changes it: deploy what is printed.", no_args_is_help=True
)

Instant = typer.Option(metavar="ISO8601", help="An instant, without a zone in UTC.")


@keys.command("list")
def list_(as_json: Annotated[bool, Json] = False) -> None:
    """List the people who may decide, and their keys."""
    now = datetime.now(UTC)
    registry = Registry.load(Settings.load().approvers)
    if as_json:
        print_json([_document(person, entry, now) for person in registry.people for entry in person.keys])
        return
    print_table(
        ("who", "team", "roles", "type", "fingerprint", "state"),
        [
            (
                person.principal,
                person.team + ("" if person.internal else " (outsourced)"),
                ", ".join(person.roles) or "-",
                entry.key.type,
                entry.key.fingerprint,
                _state(entry, now),
            )
            for person in registry.people
            for entry in person.keys
        ],
    )


@keys.command()
def whoami(key: Key = None, as_json: Annotated[bool, Json] = False) -> None:
    """Say whose key this is and what it may decide.

    Fails when the registry does not know it, or it is not valid.
    """
    settings, now = Settings.load(), datetime.now(UTC)
    registry, path = Registry.load(settings.approvers), choose_key(key, settings)
    public = public_part(path)
    held = registry.holder(public)
    if held is None:
        raise RefusedError(
            f"nobody in {settings.approvers} holds the key {public.fingerprint}",
            where=str(path),
            remedy="`tellfirst keys add` prints the change that adds it",
        )
    person, entry = held
    may = dict(_may(person, _books(settings)))
    if as_json:
        print_json({**_document(person, entry, now), "may": may})
    else:
        rows = [
            ("who", person.principal),
            ("team", person.team + ("" if person.internal else " (outsourced)")),
            ("roles", ", ".join(person.roles) or "-"),
            ("key", f"{entry.key.type} {entry.key.fingerprint}"),
            ("state", _state(entry, now)),
            *((what if not place else "", name) for what, names in may.items() for place, name in enumerate(names)),
        ]
        for what, told in rows:
            say(f"{what:<{max(len(name) for name, _ in rows)}}  {told}")
        if not may:
            note("no playbook names a role of this person")
    if entry.state(now) != "valid":
        raise RefusedError(f"the key is {_state(entry, now)}", remedy="sign with another key")


@keys.command()
def check(as_json: Annotated[bool, Json] = False) -> None:
    """Check the registry against the playbooks.

    Fails when the file has a mistake, or a playbook has nobody, or too few, to approve it. Keys that expire within 30
    days, weak keys and roles that no playbook names are only told.
    """
    settings, now = Settings.load(), datetime.now(UTC)
    registry = Registry.load(settings.approvers)
    found = findings(registry, _books(settings), now=now, library_gate=settings.demands_library)
    if as_json:
        print_json({"digest": registry.digest, "findings": [finding.model_dump() for finding in found]})
    else:
        people, entries = len(registry.people), sum(len(person.keys) for person in registry.people)
        say(f"{settings.approvers}: {counted(people, 'person', 'people')}, {counted(entries, 'key')}")
        for finding in found:
            say(f"{'missing' if finding.grave else 'note'}: {finding.text}")
    if any(finding.grave for finding in found):
        raise RefusedError("somebody is missing", remedy="`tellfirst keys add` prints the change that adds a person")


@keys.command()
def add(
    principal: Annotated[str, typer.Argument(metavar="PRINCIPAL", help="The person's short name, lower case.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE.pub", help="Their public key.")],
    role: Annotated[list[str] | None, typer.Option("--role", help="A role of a new person; may be repeated.")] = None,
    team: Annotated[str, typer.Option("--team", help="The team of a new person.")] = "",
    internal: Annotated[
        bool | None, typer.Option("--internal/--outsourced", help="Ours, or an agency's; default ours.")
    ] = None,
    valid_from: Annotated[str, Instant] = "",
    valid_until: Annotated[str, Instant] = "",
) -> None:
    """Print the change that adds a key.

    Of a new person, or of one who is there. Rotation: add the new key, then let the old one end with `valid_until`
    in the file; what it signed until then holds.
    """
    settings, now = Settings.load(), datetime.now(UTC)
    file = _text_of(settings.approvers)
    new = _new_key(key, valid_from, valid_until, now)
    held = file.registry.holder(new.entry.key) if file.registry else None
    if held is not None:
        raise RefusedError(f"'{held[0].principal}' has this key already", where=str(key), remedy="give another key")
    known = principal in {person.principal for person in (file.registry.people if file.registry else ())}
    if known:
        if role or team or internal is not None:
            raise InputError(
                f"'{principal}' is there already",
                remedy="leave --role, --team and --outsourced away; roles are changed in the file",
            )
        changed = file.with_key(principal, new)
    else:
        if not role or not team:
            raise InputError(f"'{principal}' is new", remedy="give --team and at least one --role")
        changed = file.with_person(_person(principal, team, internal is not False, role, new), new)
    _print_change(settings, file, changed, now)


@keys.command()
def revoke(
    whose: Annotated[
        str, typer.Argument(metavar="FINGERPRINT|PRINCIPAL", help="A key as `keys list` shows it, or all of a person.")
    ],
    at: Annotated[str, typer.Option("--at", metavar="ISO8601", help="From when on; default now.")] = "",
) -> None:
    """Print the change that revokes a key, or all keys of a person.

    What they signed and was not sent yet stays unsent from then on; what was sent stays proven, so the entries stay.
    """
    settings, now = Settings.load(), datetime.now(UTC)
    file = _text_of(settings.approvers)
    people = file.registry.people if file.registry else ()
    chosen = [
        entry
        for person in people
        for entry in person.keys
        if whose in (person.principal, entry.key.fingerprint, entry.key.fingerprint.removeprefix("SHA256:"))
    ]
    if not chosen:
        raise NotFoundError("nobody of that name, and no such key", where=whose, remedy="see `tellfirst keys list`")
    from_ = (read_instant(at, "--at") if at else now).replace(microsecond=0)
    left = [entry.key.fingerprint for entry in chosen if entry.revoked is None or entry.revoked > from_]
    if not left:
        raise RefusedError("revoked already", where=whose, remedy="nothing is to be done")
    _print_change(settings, file, file.with_revoked(left, from_), now)


def _print_change(settings: Settings, file: RegistryText, changed: str, now: datetime) -> None:
    typer.echo(file.difference(changed), nl=False)
    note(f"nothing is changed: deploy this to {settings.approvers}, with `patch` or as you deploy code")
    books, after = _books(settings), Registry.parse(changed, where=str(settings.approvers))

    def grave(registry: Registry | None) -> set[str]:
        told = findings(registry, books, now=now, library_gate=settings.demands_library) if registry else []
        return {finding.text for finding in told if finding.grave}

    if file.registry is not None:
        for text in sorted(grave(after) - grave(file.registry)):
            note(f"then {text}")


def _text_of(path: Path) -> RegistryText:
    """Returns the registry as it is, empty where there is none yet; raises SettingsError."""
    if not path.exists():
        return RegistryText("", str(path))
    Registry.load(path)  # says in a sentence when it cannot be read
    return RegistryText(path.read_text(encoding="utf-8"), str(path))


def _new_key(path: Path, valid_from: str, valid_until: str, now: datetime) -> NewKey:
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the key cannot be read ({type(error).__name__})", where=str(path), remedy="give a .pub file"
        ) from None
    if "PRIVATE KEY" in text:
        raise InputError(
            "this is a private key", where=str(path), remedy="give its .pub file, and keep this one secret"
        )
    try:
        public = SigningKey.parse(text.strip())
    except DecisionRefusedError as error:
        raise InputError(error.what, where=str(path), remedy=error.remedy) from None
    from_ = read_instant(valid_from, "--valid-from") if valid_from else None
    until = read_instant(valid_until, "--valid-until") if valid_until else None
    if until is not None and until <= max(now, from_ or now):
        raise InputError("the key would never be valid", where="--valid-until", remedy="give an instant to come")
    return NewKey(line=" ".join(text.split()), entry=_entry(public, from_, until))


def _entry(key: SigningKey, valid_from: datetime | None, valid_until: datetime | None) -> RegisteredKey:
    told = {"key": f"{key.type} {key.public}", "valid_from": valid_from, "valid_until": valid_until}
    return RegisteredKey.model_validate(told)


def _person(principal: str, team: str, internal: bool, roles: Sequence[str], key: NewKey) -> Person:
    try:
        return Person(principal=principal, team=team, internal=internal, roles=tuple(roles), keys=(key.entry,))
    except ValidationError as error:
        name = error.errors(include_input=False)[0]["loc"][0]
        remedy = "lower case letters, digits, dot, hyphen, underscore" if name == "principal" else "1 to 100 characters"
        raise InputError(f"this is no {str(name).rstrip('s')}", where=str(name), remedy=remedy) from None


def _books(settings: Settings) -> list[Playbook]:
    return [loaded.playbook for _, loaded in sorted(read_library(settings).items())]


def _may(person: Person, books: Sequence[Playbook]) -> Iterator[tuple[str, list[str]]]:
    """Yields what a person may decide and for what, leaving out what nothing is in."""
    exceptions = [
        f"{book.id}: {kind.replace('_', ' ')},"
        f" {_money(most[0], boundary)} alone, {_money(most[1], boundary)} with a second"
        for book in books
        for kind, boundary in book.exceptions.items()
        if (limits := [(one.alone, one.with_second) for role, one in boundary.roles.items() if role in person.roles])
        for most in [tuple(map(max, zip(*limits, strict=True)))]
    ]
    told = (
        ("approves", [book.id for book in books if person.may(book.owners.approvers)]),
        ("proposes", [book.id for book in books if may_propose(person, book)]),
        ("library", [role for role in (LIBRARY_APPROVER, PRIVACY_OWNER) if role in person.roles]),
        ("resumes", ["everything, as one of two"] if person.may(RESUMERS) else []),
        ("exceptions", exceptions),
    )
    return ((what, names) for what, names in told if names)


def _money(amount_minor: int, boundary: Boundary) -> str:
    return f"{major(amount_minor, boundary.currency)} {boundary.currency}"


def _state(entry: RegisteredKey, now: datetime) -> str:
    state = entry.state(now)
    if state == "valid":
        until = min((at for at in (entry.valid_until, entry.revoked) if at), default=None)
        return f"valid until {when(until)}" if until else "valid"
    since = {"revoked": entry.revoked, "expired": entry.valid_until, "not_yet_valid": entry.valid_from}[state]
    return f"{'valid from' if state == 'not_yet_valid' else state + ' since'} {when(since)}"


def _document(person: Person, entry: RegisteredKey, now: datetime) -> dict[str, object]:
    return {
        "principal": person.principal,
        "team": person.team,
        "internal": person.internal,
        "roles": list(person.roles),
        "type": entry.key.type,
        "fingerprint": entry.key.fingerprint,
        "state": entry.state(now),
        **entry.model_dump(mode="json", include={"valid_from", "valid_until", "revoked"}),
    }
