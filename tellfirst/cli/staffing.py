"""Whether the people of the registry can do what the playbooks ask: who may say yes to what, and who is missing."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tellfirst.cli.output import when
from tellfirst.domain.base import Frozen
from tellfirst.playbooks.schema import Playbook
from tellfirst.signing.keys import Rsa, read_key
from tellfirst.signing.registry import Person, RegisteredKey, Registry
from tellfirst.signing.rules import LIBRARY_APPROVER, PRIVACY_OWNER, RESUMERS, resume_rule

SOON = timedelta(days=30)
RSA_BITS = 3072
"""Below it an RSA key still signs, and should be replaced."""


class Finding(Frozen):
    """Is something about the registry in a sentence; a grave one keeps a decision from being made."""

    grave: bool
    text: str


def findings(registry: Registry, books: Sequence[Playbook], *, now: datetime, library_gate: bool) -> list[Finding]:
    """Returns what is wrong now, the grave first, and what will be soon; `now` is aware."""
    found = [
        *(Finding(grave=True, text=text) for book in books for text in _missing(book, registry, now)),
        *(Finding(grave=library_gate, text=text) for text in _missing_of_library(registry, now)),
        *(Finding(grave=False, text=text) for book in books for text in _scarce(book, registry, now)),
        *(Finding(grave=False, text=text) for person in registry.people for text in _of_keys(person, now)),
        *(Finding(grave=False, text=text) for text in _missing_to_resume(registry, now)),
        *(Finding(grave=False, text=text) for text in _unused(registry, books)),
    ]
    return sorted(found, key=lambda finding: not finding.grave)


def able(registry: Registry, roles: Sequence[str], now: datetime) -> list[Person]:
    """Returns who has one of `roles` and a key that is valid now."""
    return [person for person in registry.people if person.may(roles) and person.can_sign(now)]


def may_propose(person: Person, book: Playbook) -> bool:
    """Says whether a playbook names a person, their team or a role of theirs among its proposers."""
    return not {person.principal, person.team, *person.roles}.isdisjoint(book.owners.proposers)


def _missing(book: Playbook, registry: Registry, now: datetime) -> Iterator[str]:
    people, roles = able(registry, book.owners.approvers, now), " or ".join(book.owners.approvers)
    if not people:
        yield f"{book.id}: nobody who is {roles} has a valid key, so nothing of it can be approved"
    elif len(people) < book.approval.quorum:
        yield f"{book.id}: it takes {book.approval.quorum} people who are {roles}, and only {_names(people)} can sign"


def _scarce(book: Playbook, registry: Registry, now: datetime) -> Iterator[str]:
    people, quorum = able(registry, book.owners.approvers, now), book.approval.quorum
    if quorum <= len(people) < quorum + 1:
        yield (
            f"{book.id}: nobody else than {_names(people)} can approve it:"
            f" not what they proposed or wrote, and nothing to more than {book.approval.tripwire:,}"
        )
    for kind, boundary in book.exceptions.items():
        if not able(registry, tuple(boundary.roles), now):
            yield f"{book.id}: nobody with a valid key may grant a {kind.replace('_', ' ')}"


def _missing_of_library(registry: Registry, now: datetime) -> Iterator[str]:
    approvers, owners = (able(registry, (role,), now) for role in (LIBRARY_APPROVER, PRIVACY_OWNER))
    for role, people in ((LIBRARY_APPROVER, approvers), (PRIVACY_OWNER, owners)):
        if not people:
            yield f"the library: nobody who is {role} has a valid key"
    if approvers and owners and len({person.principal for person in (*approvers, *owners)}) == 1:
        yield f"the library: {_names(owners)} alone is {LIBRARY_APPROVER} and {PRIVACY_OWNER}, and two must sign"


def _missing_to_resume(registry: Registry, now: datetime) -> Iterator[str]:
    people = able(registry, RESUMERS, now)
    if len(people) < resume_rule().needed:
        who = f"only {_names(people)}" if people else "nobody"
        yield f"{who} can sign as {' or '.join(RESUMERS)}, and it takes two to end a pause of everything"


def _of_keys(person: Person, now: datetime) -> Iterator[str]:
    if not person.can_sign(now):
        yield f"{person.principal}: no key is valid now"
    for entry in person.keys:
        if entry.state(now) == "valid" and entry.valid_until and entry.valid_until <= now + SOON:
            yield f"{person.principal}: {_key(entry)} expires on {when(entry.valid_until)}"
        if entry.state(now) == "valid" and entry.revoked:
            yield f"{person.principal}: {_key(entry)} is revoked from {when(entry.revoked)} on"
        if entry.state(now) in ("valid", "not_yet_valid") and (bits := _rsa_bits(entry)) and bits < RSA_BITS:
            yield f"{person.principal}: {_key(entry)} has {bits:,} bits; make one with ssh-keygen -t ed25519"


def _unused(registry: Registry, books: Sequence[Playbook]) -> Iterator[str]:
    named = {LIBRARY_APPROVER, PRIVACY_OWNER, *RESUMERS} | {
        text for book in books for text in _texts(book.model_dump(mode="json", exclude={"steps", "data", "detector"}))
    }
    for role in sorted({role for person in registry.people for role in person.roles} - named):
        yield f"no playbook names the role '{role}'"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _rsa_bits(entry: RegisteredKey) -> int:
    key = read_key(entry.key.blob)
    return key.key.key_size if isinstance(key, Rsa) else 0


def _key(entry: RegisteredKey) -> str:
    return f"the key {entry.key.fingerprint}"


def _names(people: Sequence[Person]) -> str:
    return " and ".join(f"'{person.principal}'" for person in people)
