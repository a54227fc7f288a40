"""Forms: a compiled part that is filled for many rows, each way of reading it rendered once."""

import re
from collections.abc import Mapping

from liquid import BoundTemplate
from liquid.builtin.expressions import BooleanExpression, FilteredExpression
from liquid.exceptions import LiquidError

from tellfirst.playbooks.fields import Plain, RenderError

LIMIT = 16_000
"""Characters that a part may come to."""
_MARK = "\0"
_KEPT = 1_000


class Form:
    """Is one part; what its words turn on is rendered once, what they only repeat is put in row by row.

    Liquid takes most of the time of a row, and the rows of a page differ in little more than a number and a name.
    """

    def __init__(self, part: BoundTemplate) -> None:
        self._part, self._looked_into = part, _looked_into(part)
        self._read: dict[tuple[object, ...], list[str]] = {}

    def fill(self, values: Mapping[str, Plain]) -> str:
        """Returns what `fill` does for this part."""
        # Of what is only repeated, or asked whether it is there, no more counts than that.
        turns_on = [value if name in self._looked_into else value is None for name, value in values.items()]
        key = (*values, *turns_on)
        pieces = self._read.get(key)
        if pieces is None:
            if any(type(value) is str and _MARK in value for value in turns_on):
                return fill(self._part, values)
            if len(self._read) >= _KEPT:
                self._read.clear()
            pieces = self._read[key] = fill(self._part, self._marked(values)).split(_MARK)
        filled = pieces.copy()
        filled[1::2] = [str(values[name]) for name in pieces[1::2]]
        text = "".join(filled)
        if len(text) > LIMIT:
            raise RenderError("body", f"cannot be rendered within {LIMIT} characters")
        return text

    def _marked(self, values: Mapping[str, Plain]) -> dict[str, Plain]:
        return {
            name: value if value is None or name in self._looked_into else f"{_MARK}{name}{_MARK}"
            for name, value in values.items()
        }


def names_used(part: BoundTemplate) -> frozenset[str]:
    """Returns the names that a part reads."""
    return frozenset(part.analyze().globals)


def fill(part: BoundTemplate, values: Mapping[str, Plain]) -> str:
    """Returns a part with its values; raises RenderError naming what it lacks, never a value."""
    try:
        return part.render(values)
    except (LiquidError, RecursionError) as error:
        problem = type(error).__name__
    missing = sorted(names_used(part) - values.keys())
    raise RenderError(
        missing[0] if missing else "body", "has no value" if missing else f"cannot be rendered ({problem})"
    )


def _looked_into(part: BoundTemplate) -> frozenset[str]:
    """Returns the names whose value decides what is written; any word beside them does no harm."""
    found: set[str] = set()
    nodes = list(part.nodes)
    while nodes:
        node = nodes.pop()
        nodes += node.children(part)  # type: ignore[arg-type]  # asked for nothing where no file may be included
        for expression in node.expressions():
            bare = isinstance(expression, FilteredExpression | BooleanExpression) and str(expression).isidentifier()
            if not bare:
                found.update(re.findall(r"\w+", str(expression)))
    return frozenset(found)
