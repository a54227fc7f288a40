"""Decision documents: what exactly a person signs, as canonical JSON (RFC 8785)."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import rfc8785
from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints

from tellfirst.errors import DecisionRefusedError

NAMESPACE = "decision.v1@tellfirst"
MAX_BYTES = 262_144
MAX_DEPTH = 12

Choice = Literal["approve", "reject", "request_changes"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def _read_instant(value: object) -> datetime:
    if isinstance(value, str):
        if not _INSTANT.fullmatch(value):
            raise ValueError("write an instant like 2026-01-31T12:00:00Z")
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("an instant names its time zone")
    # Rounded down: what the document says is never later than what was meant.
    return value.astimezone(UTC).replace(microsecond=0)


def _write_instant(value: datetime) -> str:
    return value.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


Instant = Annotated[datetime, BeforeValidator(_read_instant), PlainSerializer(_write_instant, str, when_used="json")]
"""An aware UTC instant in whole seconds; in JSON, text like `2026-01-31T12:00:00Z` and no other spelling."""


def canonical(document: Mapping[str, object]) -> bytes:
    """Returns the one spelling of `document` (RFC 8785), which is what gets signed.

    Admits text, integers up to 2^53-1, booleans, null, lists and objects, at most MAX_DEPTH deep and MAX_BYTES long;
    raises DecisionRefusedError `malformed` for anything else. Numbers with a fraction are left out on purpose: two
    languages may spell them differently.
    """
    plain = dict(document)
    _plain(plain, MAX_DEPTH)
    try:
        data = rfc8785.dumps(plain)  # type: ignore[arg-type]  # what _plain let through
    except ValueError:  # an integer beyond JSON's range, a key that is not text, text that is not Unicode
        raise _malformed("holds a number, key or text that JSON cannot carry") from None
    if len(data) > MAX_BYTES:
        raise _malformed(f"is longer than {MAX_BYTES} bytes")
    return data


def digest(document: Mapping[str, object]) -> str:
    """Returns the SHA-256 of the canonical document, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(document)).hexdigest()


def _plain(value: object, depth: int) -> None:
    if value is None or isinstance(value, str | int):
        return
    if depth == 0:
        raise _malformed(f"is nested deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        for item in value:
            _plain(item, depth - 1)
    elif isinstance(value, dict):
        for item in value.values():
            _plain(item, depth - 1)
    else:
        raise _malformed("holds something other than text, integers, true, false, null, lists and objects")


def _malformed(what: str) -> DecisionRefusedError:
    return DecisionRefusedError("malformed", f"the decision document {what}", remedy="fetch it again and sign that")
