"""What a reply comes to: what it asks of us, in what tone, and whether a person is to hear of it."""

import re
from enum import StrEnum
from typing import Literal

from tellfirst.domain.base import Frozen
from tellfirst.policy.optout import Wish, Wording
from tellfirst.policy.tone import Reader

_LONE_DIGIT = re.compile(r"\s*([1-5])\s*[.!)]?\s*", re.ASCII)
Need = Literal["", "doubt", "person", "anger"]
"""Why a person is to hear of a reply: it may be an opt-out, it asks for somebody, or its writer is angry."""


class Kind(StrEnum):
    """Is what becomes of a reply; an `opt_in` counts only after an opt-out, an `answer` only after a question."""

    OPT_OUT = "opt_out"
    DOUBTFUL = "doubtful"
    OPT_IN = "opt_in"
    HELP = "help"
    AUTOMATIC = "automatic"
    ANSWER = "answer"
    REPLY = "reply"


def lone_digit(text: str) -> int | None:
    """Returns the digit from 1 to 5 that is all a text says, as the answer to a question; else None."""
    found = _LONE_DIGIT.fullmatch(text)
    return int(found[1]) if found else None


class Reading(Frozen):
    """Is what a reply comes to; `tone` is empty where nobody wrote to us."""

    kind: Kind
    tone: str = ""
    need: Need = ""


class Replies:
    """Reads replies."""

    def __init__(self, wording: Wording, reader: Reader) -> None:
        self._wording, self._reader = wording, reader

    def read(self, text: str, *, said: Wish | None = None, carrier: bool = False) -> Reading:
        """Returns what a text comes to; `said` is what a provider understood, which counts before the words.

        With `carrier` somebody else answers a call for help; without, it is one for a person.
        """
        wish = said or self._wording.read(text)
        if wish is Wish.OPT_OUT or (wish is Wish.HELP and carrier):
            return Reading(kind=Kind(wish))
        tone, asked = self._reader.tone(text), wish is Wish.HELP or self._reader.asks_for_person(text)
        angry: Need = "anger" if tone == "angry" else ""
        need: Need = "doubt" if wish is Wish.DOUBTFUL else "person" if asked else angry
        kind = Kind.REPLY if wish is Wish.HELP else Kind(wish)
        return Reading(kind=kind, tone=tone, need="" if wish is Wish.OPT_IN else need)

    def by_itself(self, subject: str) -> bool:
        """Returns whether a mail of this subject was written by a program."""
        return self._wording.automatic(subject)
