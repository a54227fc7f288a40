"""What is said around the message of a call: what the keys do, and what is answered when one is pressed."""

import tomllib
from functools import cache
from pathlib import Path

from tellfirst.domain.base import Outside

_FILE = Path(__file__).with_name("spoken.toml")


class Spoken(Outside):
    """Is one language's sentences; `voice` is the tag of the language that they and the message are read in."""

    voice: str
    repeat: str
    human: str
    stop: str
    goodbye: str
    connecting: str
    unanswered: str
    stopped: str
    gone: str


def spoken(locale: str) -> Spoken | None:
    """Returns the sentences for a locale such as `de` or `de_AT`; None for a language that has none."""
    return _all().get(locale.replace("-", "_").partition("_")[0])


@cache
def _all() -> dict[str, Spoken]:
    return {language: Spoken.model_validate(said) for language, said in tomllib.loads(_FILE.read_text()).items()}
