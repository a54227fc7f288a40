"""What the parts of a playbook are written in: durations, names, texts."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

Person = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4_000)]


def _iso_8601(value: object) -> object:
    """Returns a duration unchanged; a bare number is refused, because nobody sees whether 7 is days or seconds."""
    if isinstance(value, timedelta) or (isinstance(value, str) and value.lstrip("+-").startswith("P")):
        return value
    raise ValueError('a duration is ISO 8601 text such as "PT2H" or "P7D"')


Duration = Annotated[timedelta, BeforeValidator(_iso_8601)]
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""The name by which an installation finds a message that its provider keeps."""
