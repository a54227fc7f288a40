"""Requests signed as Standard Webhooks 1.0.0 describes it, and refused when they are forged, stale or changed."""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import standardwebhooks
from fastapi import HTTPException, Request
from pydantic import SecretStr

from tellfirst.channels.webhook import read_secret
from tellfirst.domain.base import Frozen
from tellfirst.web.bodies import JSON, LARGE, read_body

TOLERANCE = timedelta(minutes=5)
"""How far the clocks of two systems may differ, and for how long a request may be repeated."""
ID_LIMIT = 200
ANSWERS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is not what its type says."},
    403: {"description": "The signature does not fit, or is older than five minutes."},
    408: {"description": "The body does not come to an end."},
    413: {"description": "The body is too long."},
    415: {"description": "The body is of another type."},
    422: {"description": "A field is not what it should be; the answer names it."},
    503: {"description": "The installation has no secret for this source."},
}
"""What a signed request may be answered beside its success."""


class Signed(Frozen):
    """Is a request that was signed with one of our secrets; `id` stays the same when it is sent again."""

    id: str
    body: bytes


class Verifier:
    """Reads requests of one source; several `secrets` are for the time in which one replaces another.

    `setting` is the variable that names them, and `headers` what the names of the three headers begin with.
    """

    def __init__(
        self, secrets: Sequence[SecretStr], *, setting: str, clock: Callable[[], datetime], headers: str = "webhook"
    ) -> None:
        keys = [read_secret(secret.get_secret_value(), where=setting) for secret in secrets]
        self._signers = [standardwebhooks.Webhook(key) for key in keys]
        self._setting, self._clock, self._headers = setting, clock, headers

    async def read(self, request: Request, *types: str, limit: int = LARGE) -> Signed:
        """Returns what was signed; raises 503 without secrets, 403 when nothing fits, 413 and 415 for its body."""
        if not self._signers:
            raise HTTPException(503, f"this needs {self._setting}; see docs/channels.md")
        body = await read_body(request, *(types or (JSON,)), limit=limit)
        id_, at, given = (
            request.headers.get(f"{self._headers}-{name}", "") for name in ("id", "timestamp", "signature")
        )
        if not (0 < len(id_) <= ID_LIMIT and self._timely(at) and self._fits(id_, at, given, body)):
            raise HTTPException(403, f"the signature does not fit or is older than 5 minutes; check {self._setting}")
        return Signed(id=id_, body=body)

    def _timely(self, at: str) -> bool:
        return timely(at, self._clock())

    def _fits(self, id_: str, at: str, given: str, body: bytes) -> bool:
        try:
            text, instant = body.decode(), datetime.fromtimestamp(int(at), UTC)
        except ValueError:
            return False
        wanted = [_bytes(signer.sign(id_, instant, text)) for signer in self._signers]
        offered = [_bytes(one) for one in given.split()[:8]]
        return any(hmac.compare_digest(w, o) for w in wanted for o in offered if o)


def timely(at: str, now: datetime) -> bool:
    """Returns whether an instant, in whole seconds since 1970, is about now."""
    # Only ASCII digits: int() reads others too, and what was signed is the text.
    if not (at.isascii() and at.isdigit() and len(at) <= 12):
        return False
    return abs(now.timestamp() - int(at)) <= TOLERANCE.total_seconds()


def _bytes(signature: str) -> bytes:
    version, _, text = signature.partition(",")
    try:
        return base64.b64decode(text, validate=True) if version == "v1" else b""
    except binascii.Error:
        return b""
