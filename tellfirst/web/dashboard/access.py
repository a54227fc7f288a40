"""Who may look at the dashboard: this machine alone, or whoever has the token."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import Response

PATH = "/dashboard"
COOKIE = "tellfirst_dashboard"
SESSION = timedelta(hours=12)
FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers that say a request came by a proxy: whoever it is for is then not on this machine."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")

Answer = Literal["welcome", "sign_in", "not_here"]


class Access:
    """Judges requests; without a token an installation that others reach by its public URL has no dashboard."""

    def __init__(self, token: str, *, public_url: str, clock: Callable[[], datetime]) -> None:
        self._token, self._clock = token.encode(), clock
        # A plain proxy on this machine adds no header, and whoever comes through it looks as if they were here.
        self._public = bool(public_url) and (urlsplit(public_url).hostname or "") not in LOCAL_NAMES
        self._key = hmac.digest(self._token, b"tellfirst dashboard session v1", "sha256")

    def judge(self, request: HTTPConnection) -> Answer:
        """Returns whether the page is shown, the way in is, or nothing that would tell it is here."""
        if not self._token:
            return "welcome" if not self._public and _from_here(request) else "not_here"
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.knows(given.strip()):
            return "welcome"
        return "welcome" if self._stands(request.cookies.get(COOKIE, "")) else "sign_in"

    def knows(self, token: str) -> bool:
        """Returns whether this is the token, in a time that tells nothing of it."""
        given, own = (hashlib.sha256(one).digest() for one in (token.encode(), self._token))
        return bool(self._token) and hmac.compare_digest(given, own)

    def admit(self, response: Response, request: HTTPConnection) -> None:
        """Lets the browser that gets this response in for a while; a new token ends that at once."""
        expires = int((self._clock() + SESSION).timestamp())
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
        response.set_cookie(
            COOKIE,
            f"{expires}.{self._sign(expires)}",
            max_age=int(SESSION.total_seconds()),
            path=PATH,
            secure=secure,
            httponly=True,
            samesite="strict",
        )

    def _stands(self, cookie: str) -> bool:
        until, _, signature = cookie.partition(".")
        if not (until.isascii() and until.isdecimal() and len(until) < 12):
            return False
        signed = hmac.compare_digest(signature.encode(), self._sign(int(until)).encode())
        return signed and self._clock() < datetime.fromtimestamp(int(until), UTC)

    def _sign(self, expires: int) -> str:
        return hmac.new(self._key, str(expires).encode(), "sha256").hexdigest()


def _from_here(request: HTTPConnection) -> bool:
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    # A page elsewhere can give its own name our address and then read what its visitor's browser gets from us.
    return _local(request.client.host) and (request.url.hostname or "") in LOCAL_NAMES


def _local(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or bool(getattr(address, "ipv4_mapped", None) and address.ipv4_mapped.is_loopback)  # type: ignore[union-attr]


def headers_of(request: HTTPConnection) -> Mapping[str, str]:
    """Returns the headers that a refusal carries."""
    return {"WWW-Authenticate": "Bearer"} if "authorization" in request.headers else {}
