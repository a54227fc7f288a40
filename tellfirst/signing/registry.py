"""The registry of approvers: who holds which key, with which roles.

`approvers.toml` is deployed and read-only for the application, outside its database, so that write access to the
database gives nobody a say.
"""

import hashlib
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError, model_validator

from tellfirst.domain.base import Outside
from tellfirst.errors import DecisionRefusedError, SettingsError
from tellfirst.signing.keys import SigningKey

Principal = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,63}$")]
"""A short lower-case name: no wildcard, no white space, no e-mail address, no second spelling of the same person."""

Role = Annotated[str, StringConstraints(min_length=1, max_length=100)]


def _read_key(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("a key is the text of a .pub file")
    try:
        return SigningKey.parse(value)
    except DecisionRefusedError as error:
        raise ValueError(error.what) from None


def _read_instant(value: object) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ValueError("an instant has a date and a time, like 2026-01-31T12:00:00Z")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


FileInstant = Annotated[datetime, BeforeValidator(_read_instant)]
"""An aware UTC instant; in the file without a zone it means UTC."""


KeyState = Literal["valid", "not_yet_valid", "expired", "revoked"]


class RegisteredKey(Outside):
    """Is one key of a person: valid in [valid_from, valid_until), and dead from `revoked` on."""

    key: Annotated[SigningKey, BeforeValidator(_read_key)]
    valid_from: FileInstant | None = None
    valid_until: FileInstant | None = None
    revoked: FileInstant | None = None

    @model_validator(mode="after")
    def _valid_at_some_time(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise ValueError("valid_from lies before valid_until")
        return self

    def state(self, at: datetime) -> KeyState:
        """Returns how the key stands at an aware instant, the gravest first."""
        if self.revoked and at >= self.revoked:
            return "revoked"
        if self.valid_until and at >= self.valid_until:
            return "expired"
        return "not_yet_valid" if self.valid_from and at < self.valid_from else "valid"


class Person(Outside):
    """Is one person who may decide: an exact principal, a team, roles, and keys."""

    principal: Principal
    team: Role
    internal: bool
    roles: tuple[Role, ...]
    keys: tuple[RegisteredKey, ...] = Field(min_length=1)

    def may(self, roles: Iterable[str]) -> bool:
        """Says whether the person has one of `roles`."""
        return not set(roles).isdisjoint(self.roles)

    def can_sign(self, at: datetime) -> bool:
        """Says whether one of the person's keys is valid at an aware instant."""
        return any(entry.state(at) == "valid" for entry in self.keys)


class Registry(Outside):
    """Is the whole file `approvers.toml`."""

    people: tuple[Person, ...] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads the registry; raises SettingsError naming the file, the entry and the remedy."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the registry of approvers cannot be read ({type(error).__name__})",
                where=str(path),
                remedy="deploy approvers.toml as UTF-8 text that the worker can read",
            ) from None
        return cls.parse(text, where=str(path))

    @classmethod
    def parse(cls, text: str, where: str = "approvers.toml") -> Self:
        """Returns the registry in a TOML text; raises SettingsError as `load` does."""
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"not TOML: {error}", where=where, remedy="mend that line") from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            entry = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
            raise SettingsError(
                f"{entry.lstrip('.') or 'people'}: {first['msg'].removeprefix('Value error, ')}",
                where=where,
                remedy="mend that entry; docs/security.md shows the file's form",
            ) from None

    @model_validator(mode="after")
    def _one_holder_per_key(self) -> Self:
        principals: set[str] = set()
        holders: dict[str, str] = {}
        for person in self.people:
            if person.principal in principals:
                raise ValueError(f"'{person.principal}' is listed twice: give one entry all keys of the person")
            principals.add(person.principal)
            for entry in person.keys:
                other = holders.setdefault(entry.key.public, person.principal)
                if other != person.principal:
                    raise ValueError(
                        f"key {entry.key.fingerprint} stands under '{other}' and '{person.principal}':"
                        " a key has one holder"
                    )
            if len({entry.key.public for entry in person.keys}) != len(person.keys):
                raise ValueError(f"'{person.principal}' lists a key twice: keep one entry with its validity")
        return self

    @property
    def digest(self) -> str:
        """Returns the SHA-256 of what the registry says, 64 hexadecimal digits; key comments do not count."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def holder(self, key: SigningKey) -> tuple[Person, RegisteredKey] | None:
        """Returns who holds `key`, and the entry with its validity, or None."""
        for person in self.people:
            for entry in person.keys:
                if entry.key.public == key.public:
                    return person, entry
        return None
