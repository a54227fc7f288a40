"""What a reply asks of us: to stop, perhaps to stop, to begin again, or something that people have to read."""

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from tellfirst.domain.base import Outside
from tellfirst.errors import SettingsError

SHIPPED = Path(__file__).with_name("optout.toml")
_PARAGRAPH = re.compile(r"\n\s*\n")


class Wish(StrEnum):
    """Is what the words of a reply come to; whether `opt_in` means anything depends on an opt-out before it."""

    OPT_OUT = "opt_out"
    DOUBTFUL = "doubtful"
    OPT_IN = "opt_in"
    HELP = "help"
    REPLY = "reply"


class Carrier(Outside):
    """Holds the words that carriers act on by themselves."""

    start: tuple[str, ...]
    help: tuple[str, ...]


class Language(Outside):
    """Holds the words of one language."""

    stop: tuple[str, ...]
    doubtful: tuple[str, ...]
    polite: tuple[str, ...]
    automatic: tuple[str, ...]


class Wording:
    """Reads the wish in a reply, in every language of its table at once."""

    def __init__(self, carrier: Carrier, languages: Iterable[Language]) -> None:
        every = tuple(languages)
        # Longest first, so that "opt out" is not read as "out" with something before it.
        self._stop = _all_of(phrase for one in every for phrase in one.stop)
        self._polite = _any_of(phrase for one in every for phrase in one.polite)
        self._doubtful = _any_of(phrase for one in every for phrase in one.doubtful)
        self._automatic = _any_of(phrase for one in every for phrase in one.automatic)
        self._start, self._help = _all_of(carrier.start), _all_of(carrier.help)

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Self:
        """Reads the table; raises SettingsError for one that cannot be used."""
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
            carrier = Carrier.model_validate(tables.pop("carrier"))
            return cls(carrier, [Language.model_validate(table) for table in tables.values()])
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, ValidationError) as error:
            raise SettingsError(f"the words cannot be read ({type(error).__name__})", where=str(path)) from None

    def read(self, text: str) -> Wish:
        """Returns the wish in what a customer wrote, without what they quoted."""
        first, whole = plain_words(_PARAGRAPH.split(text.strip(), maxsplit=1)[0]), plain_words(text)
        # What stands below the first paragraph is a signature more often than a second thought.
        for said in (whole, first):
            core = " ".join(self._polite.sub(" ", said).split())
            if self._stop.fullmatch(core):
                return Wish.OPT_OUT
            if self._start.fullmatch(core):
                return Wish.OPT_IN
            if self._help.fullmatch(core):
                return Wish.HELP
        return Wish.DOUBTFUL if self._doubtful.search(whole) else Wish.REPLY

    def automatic(self, subject: str) -> bool:
        """Returns whether a subject is one that a mail program writes by itself."""
        return self._automatic.match(plain_words(subject)) is not None


def plain_words(text: str) -> str:
    """Returns the words of a text alone: in small letters, without accents, punctuation and pictures."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    bare = "".join(c for c in folded if not unicodedata.combining(c) and c not in "'’`´")
    words = "".join(c if c.isalnum() else " " for c in bare).split()
    spelt = len(words) > 2 and all(len(word) == 1 for word in words)  # S.T.O.P
    return "".join(words) if spelt else " ".join(words)


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{_alternatives(phrases)})\b")


def _all_of(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?:(?:{_alternatives(phrases)})(?: |$))+")


def _alternatives(phrases: Iterable[str]) -> str:
    return "|".join(re.escape(phrase) for phrase in sorted(set(phrases), key=len, reverse=True))
