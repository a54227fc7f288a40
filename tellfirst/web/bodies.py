"""Reading what anybody on the internet may post: bounded while it arrives, and only as what it says it is."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request
from starlette.datastructures import ImmutableMultiDict

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
SMALL = 65_536
"""The limit in bytes of a body about one thing."""
LARGE = 1_048_576
"""The limit in bytes of a body about many."""
FIELDS = 500
"""The limit of fields in a form: what makes a signature of them takes the square of their number in time."""
PATIENCE = 15.0
"""The limit in seconds: whoever keeps a connection and sends a byte now and then is let go."""


async def read_body(request: Request, *types: str, limit: int = SMALL) -> bytes:
    """Returns the body as it came; raises 415 for a type that is none of `types`, 413 and 408 for one without end.

    A body that does not say its type is read: what it is, its signature and its fields tell.
    """
    given = media_type(request)
    if types and given and given not in types:
        raise HTTPException(415, f"the body must be {' or '.join(types)}")
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise HTTPException(413, f"a body is at most {limit} bytes long")
    except TimeoutError:
        raise HTTPException(408, "the body does not come to an end") from None
    return bytes(body)


def media_type(request: Request) -> str:
    """Returns the type of the body without its parameters, in small letters; empty when none is given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_form(body: bytes) -> ImmutableMultiDict[str, str]:
    """Returns the fields of a form, blank ones too: they are signed like the others; raises 413 for too many."""
    # Whatever is not ASCII is escaped in a form, and the escapes are of UTF-8; other bytes are nobody's signed form.
    try:
        return ImmutableMultiDict(parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError:
        raise HTTPException(413, f"a form has at most {FIELDS} fields") from None


def read_json(body: bytes) -> Any:
    """Returns the value of a JSON body in UTF-8; raises 400 for anything else."""
    try:
        return json.loads(body.decode(), parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON in UTF-8") from None


def _not_json(word: str) -> None:
    raise ValueError(word)  # NaN and its like, which the databases refuse later
