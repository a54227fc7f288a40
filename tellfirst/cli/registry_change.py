"""A change of the registry of approvers as the text to deploy; comments and the order of the file stay as they are."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import unified_diff
from itertools import pairwise

from tellfirst.domain.base import Frozen
from tellfirst.errors import InputError, RefusedError
from tellfirst.signing.registry import Person, RegisteredKey, Registry

PERSON = re.compile(r"\s*\[\[\s*people\s*\]\]\s*(#.*)?")
KEY = re.compile(r"\s*\[\[\s*people\s*\.\s*keys\s*\]\]\s*(#.*)?")
KEY_LINE = re.compile(r"\s*key\s*=")
REVOKED_LINE = re.compile(r"\s*revoked\s*=")


class NewKey(Frozen):
    """Is a key to be added: the line of its `.pub` file, and what the registry says of it."""

    line: str
    entry: RegisteredKey

    def lines(self) -> list[str]:
        """Returns its entry in the file."""
        told = [f"valid_from = {_instant(self.entry.valid_from)}"] if self.entry.valid_from else []
        told += [f"valid_until = {_instant(self.entry.valid_until)}"] if self.entry.valid_until else []
        return ["[[people.keys]]", f"key = {_text(self.line)}", *told]


class RegistryText:
    """Is the registry of approvers with its text; raises SettingsError for a text that is none."""

    def __init__(self, text: str, where: str) -> None:
        self._text, self._where = text, where
        self.registry = Registry.parse(text, where=where) if text else None
        self._people = self.registry.people if self.registry else ()

    def with_person(self, person: Person, key: NewKey) -> str:
        """Returns the text with another person at its end."""
        roles = ", ".join(map(_text, person.roles))
        told = [
            "[[people]]",
            f"principal = {_text(person.principal)}",
            f"team = {_text(person.team)}",
            f"internal = {'true' if person.internal else 'false'}",
            f"roles = [{roles}]",
        ]
        lines = self._lines()
        return self._checked([*lines, *([""] if lines else []), *told, "", *key.lines()], (*self._people, person))

    def with_key(self, principal: str, key: NewKey) -> str:
        """Returns the text with another key of a person who is in it, below the others."""
        lines = self._lines()
        number = [person.principal for person in self._people].index(principal)
        _, after = self._people_at(lines)[number]
        while not lines[after - 1].strip() or lines[after - 1].lstrip().startswith("#"):
            after -= 1  # what is said between two people is said of the second
        changed = self._people[number].model_copy(update={"keys": (*self._people[number].keys, key.entry)})
        return self._checked([*lines[:after], "", *key.lines(), *lines[after:]], self._replaced(number, changed))

    def with_revoked(self, fingerprints: Sequence[str], at: datetime) -> str:
        """Returns the text in which these keys are revoked from `at` on; their entries stay."""
        lines, people = self._lines(), list(self._people)
        # From the end, so that what was found before stays where it is.
        for number in reversed(range(len(people))):
            person = people[number]
            keys = list(person.keys)
            places = self._keys_at(lines, *self._people_at(lines)[number], expected=len(keys))
            for place in reversed(range(len(keys))):
                if keys[place].key.fingerprint in fingerprints:
                    start, end = places[place]
                    keys[place] = keys[place].model_copy(update={"revoked": at})
                    lines[start:end] = _revoked(lines[start:end], at)
            people[number] = person.model_copy(update={"keys": tuple(keys)})
        return self._checked(lines, tuple(people))

    def difference(self, changed: str) -> str:
        """Returns what `patch` needs to make the text the changed one."""
        old, new = self._text.splitlines(keepends=True), changed.splitlines(keepends=True)
        if old and not old[-1].endswith("\n"):
            old[-1] += "\n"  # an editor that ends a file without a line's end, and no change of ours
        return "".join(unified_diff(old, new, self._where if old else "/dev/null", self._where))

    def _lines(self) -> list[str]:
        return self._text.rstrip("\n").split("\n") if self._text else []

    def _people_at(self, lines: Sequence[str]) -> list[tuple[int, int]]:
        return self._found(PERSON, lines, 0, len(lines), expected=len(self._people))

    def _keys_at(self, lines: Sequence[str], start: int, end: int, *, expected: int) -> list[tuple[int, int]]:
        return self._found(KEY, lines, start, end, expected=expected)

    def _found(
        self, header: re.Pattern[str], lines: Sequence[str], start: int, end: int, *, expected: int
    ) -> list[tuple[int, int]]:
        starts = [at for at in range(start, end) if header.fullmatch(lines[at])]
        if len(starts) != expected:
            raise self._other_form()
        return list(pairwise([*starts, end]))

    def _replaced(self, number: int, person: Person) -> tuple[Person, ...]:
        return (*self._people[:number], person, *self._people[number + 1 :])

    def _checked(self, lines: Sequence[str], people: tuple[Person, ...]) -> str:
        """Returns the text if it says just what was meant, whatever the file looked like before."""
        text = "\n".join(lines) + "\n"
        if Registry.parse(text, where=self._where).people != people:
            raise self._other_form()
        return text

    def _other_form(self) -> RefusedError:
        return RefusedError(
            "the registry is written in another form than docs/security.md shows",
            where=self._where,
            remedy="change it with an editor, and try `tellfirst keys check`",
        )


def _revoked(entry: Sequence[str], at: datetime) -> list[str]:
    left = [line for line in entry if not REVOKED_LINE.match(line)]
    after = next((place for place, line in enumerate(left) if KEY_LINE.match(line)), len(left) - 1) + 1
    return [*left[:after], f"revoked = {_instant(at)}", *left[after:]]


def _instant(at: datetime | None) -> str:
    assert at is not None  # noqa: S101 - asked before
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _text(value: str) -> str:
    """Returns a TOML string; raises InputError for what no line of the file should hold."""
    if not value.isprintable():
        raise InputError("a name or a key holds a character that cannot be printed")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
