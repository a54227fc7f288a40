"""Ways to change a document after it was signed, or a text that is not the only spelling of itself."""

from collections.abc import Iterator
from typing import Any

LOOK_ALIKES = str.maketrans("aceopsxyi", "асеорѕхуі")
MARKS = ("\u200b", "\u202e", "\u0301", "\ufeff", " ", "\n", "\0")
NUMBERS = (0, -1, 2**31, 2**53 - 1, 2**53, 2**64, 10**40)


def of_value(value: object) -> Iterator[object]:
    """Yields other values in place of one, of its own type and of others."""
    yield from (None, [], {}, "", 1.5, float("nan"), float("inf"), [value], {"": value}, True, "true", "0")
    if isinstance(value, str):
        yield from (value + "x", value[:-1], value.upper(), value.translate(LOOK_ALIKES), value.replace("Z", "+00:00"))
        yield from (value + mark for mark in MARKS)
        yield value * 400
    if isinstance(value, bool):
        yield from (not value, int(value), str(value))
    elif isinstance(value, int):
        yield from (value + 1, value - 1, float(value), str(value), f"{value:,}", *NUMBERS)


def of_document(document: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yields every place of a document with each document that differs there alone."""
    for path in places(document):
        for value in of_value(at(document, path)):
            if not same(value, at(document, path)):
                yield path, put(document, path, value)
        yield path, without(document, path)
    for path in ((), *places(document)):
        if isinstance(at(document, path), dict):
            yield path, put(document, (*path, "more"), 1)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yields the path of every value inside a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def at(document: Any, path: tuple[str | int, ...]) -> Any:
    """Returns the value at a path."""
    for key in path:
        document = document[key]
    return document


def put(document: Any, path: tuple[str | int, ...], value: object) -> Any:
    """Returns a copy with another value at a path."""
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = put(document[path[0]], path[1:], value) if len(path) > 1 else value
    return copy


def without(document: Any, path: tuple[str | int, ...]) -> Any:
    """Returns a copy without the value at a path."""
    copy = dict(document) if isinstance(document, dict) else list(document)
    if len(path) > 1:
        copy[path[0]] = without(document[path[0]], path[1:])
    else:
        del copy[path[0]]
    return copy


def same(one: object, other: object) -> bool:
    """Says whether two values are one in JSON; 1 and True are not."""
    return type(one) is type(other) and one == other
