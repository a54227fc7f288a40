"""Messages whose words a provider keeps: our parts with numbered places, and the values that one recipient gets there.

WhatsApp lets nobody be written to who did not write first, unless in words that it has seen and approved.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from tellfirst.playbooks.fields import Plain, RenderError

LONGEST = 1_024
"""Characters of a template with its values that WhatsApp takes."""

_FIELD = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_LIQUID = re.compile(r"\{[{%]|[}%]\}")
_PLACE = re.compile(r"\{\{\d+\}\}")
_BLANK_LINE = re.compile(r"\n\s*\n")
_PARAGRAPH = "\n\n"


class Registered:
    """Is one message as the provider keeps it: `body` with the places {{1}}, {{2}}, … and the field of each in `names`.

    A field that is said twice has two places, so that they are numbered in the order they are read.
    """

    def __init__(self, parts: Sequence[str]) -> None:
        paragraphs = _BLANK_LINE.split(_PARAGRAPH.join(parts))
        self._body = _PARAGRAPH.join(filter(None, (" ".join(paragraph.split()) for paragraph in paragraphs)))
        self.names = tuple(_FIELD.findall(self._body))
        places = iter(range(1, len(self.names) + 1))
        self.body = _FIELD.sub(lambda _: f"{{{{{next(places)}}}}}", self._body)

    def values(self, values: Mapping[str, Plain]) -> tuple[str, ...]:
        """Returns what stands in each place; raises RenderError naming a field without a value."""
        return tuple(_value(name, values.get(name)) for name in self.names)

    def filled(self, values: Sequence[str]) -> str:
        """Returns what is read, with the value of each place."""
        given = iter(values)
        return _FIELD.sub(lambda _: next(given), self._body)


def is_plain(source: str) -> bool:
    """Returns whether a part is text and plain `{{ field }}` alone: a provider fills places and knows no conditions."""
    return _LIQUID.search(_FIELD.sub("", source)) is None


def registered_findings(message: Registered) -> Iterator[tuple[str, str]]:
    """Yields reason and remedy of what WhatsApp would refuse in a template, whatever its values.

    Source: Twilio's rules for variables in templates that open a conversation.
    """
    bare = re.sub(r"[^\w{}]+$|^[^\w{}]+", "", message.body)
    if bare.startswith("{{") or bare.endswith("}}"):
        yield "begins or ends with a field, which WhatsApp refuses", "put words before the first and after the last"
    if re.search(r"\}\}\s*\{\{", message.body):
        yield "has two fields side by side, which WhatsApp refuses", "put words between them"
    if len(_PLACE.sub("", message.body).split()) < 2 * len(message.names) + 1:
        yield "has too many fields for its words, which WhatsApp refuses", "say more, or leave fields out"


def _value(name: str, value: Plain) -> str:
    text = " ".join(str("" if value is None else value).split())
    if not text:
        raise RenderError(name, "has no value, and a template has a place for it")
    return text
