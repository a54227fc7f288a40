"""The tone of a reply, by a small classifier that learns from phrases in a file and runs wherever it is asked."""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol, Self, get_args

from pydantic import Field, ValidationError

from tellfirst.domain.base import Outside
from tellfirst.errors import SettingsError
from tellfirst.policy.optout import plain_words

Tone = Literal["thanks", "neutral", "why", "angry"]
TONES: tuple[Tone, ...] = get_args(Tone)
"""`why` asks why they get this at all."""
SHIPPED = Path(__file__).with_name("tone.toml")
SMOOTHING = 0.3
STEM = 5
LONGEST = 2_000
"""So many characters of a reply are read for its tone."""


class Reader(Protocol):
    """Reads what stands between the lines."""

    def tone(self, text: str) -> Tone:
        """Returns the tone of a reply."""
        ...

    def asks_for_person(self, text: str) -> bool:
        """Returns whether somebody of ours is asked for."""
        ...


class Phrases(Outside):
    """Is what one language is learned from."""

    thanks: tuple[str, ...] = Field(min_length=1)
    neutral: tuple[str, ...] = Field(min_length=1)
    why: tuple[str, ...] = Field(min_length=1)
    angry: tuple[str, ...] = Field(min_length=1)
    human: tuple[str, ...] = Field(min_length=1)


class LearnedReader:
    """Is multinomial naive Bayes over words, their stems and pairs, with all languages in one; ties are neutral."""

    def __init__(self, languages: Iterable[Phrases]) -> None:
        every = tuple(languages)
        counts = {tone: Counter(f for one in every for p in getattr(one, tone) for f in _features(p)) for tone in TONES}
        known = set().union(*counts.values())
        self._weights: dict[Tone, Mapping[str, float]] = {}
        for tone, counted in counts.items():
            total = counted.total() + SMOOTHING * len(known)
            self._weights[tone] = {feature: math.log((counted[feature] + SMOOTHING) / total) for feature in known}
        human = sorted({phrase for one in every for phrase in one.human}, key=len, reverse=True)
        self._human = re.compile(rf"\b(?:{'|'.join(map(re.escape, human))})\b")

    @classmethod
    def load(cls, path: Path = SHIPPED) -> Self:
        """Reads the phrases; raises SettingsError for a file that cannot be used."""
        try:
            return cls(
                [Phrases.model_validate(one) for one in tomllib.loads(path.read_text(encoding="utf-8")).values()]
            )
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
            raise SettingsError(f"the phrases cannot be read ({type(error).__name__})", where=str(path)) from None

    def tone(self, text: str) -> Tone:
        """Returns the tone of a reply."""
        found = [feature for feature in _features(text[:LONGEST]) if feature in self._weights["neutral"]]
        scores = {tone: sum(weights[feature] for feature in found) for tone, weights in self._weights.items()}
        return max(scores, key=lambda tone: (scores[tone], tone == "neutral"))

    def asks_for_person(self, text: str) -> bool:
        """Returns whether somebody of ours is asked for."""
        return self._human.search(plain_words(text)) is not None


def _features(text: str) -> Iterator[str]:
    words = plain_words(text).split()
    yield from words
    yield from (f"{word[:STEM]}…" for word in words if len(word) > STEM)
    yield from (f"{first} {second}" for first, second in pairwise(words))
