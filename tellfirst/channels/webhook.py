"""Signed webhooks as Standard Webhooks 1.0.0 describes them: one request, one answer; whoever calls repeats it."""

import asyncio
import base64
import binascii
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import httpx
import standardwebhooks

from tellfirst.channels.reach import InsideAddressError, Reach
from tellfirst.domain.base import Frozen
from tellfirst.errors import SettingsError

PREFIX = "whsec_"
MIN_SECRET_BYTES = 24
LONGEST_WAIT = 3_600.0
INSIDE = "inside_address"
"""What became of a message whose host led inside unasked."""
NO_NAME = "not_a_name"
"""What became of a message whose id cannot be the name of a file."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


class Delivery(Frozen):
    """Is what became of one attempt; `detail` is a status or the name of an error, never a body."""

    acknowledged: bool
    detail: str
    retry_after: float | None = None


class Hook(Protocol):
    """Delivers a message to another system; never repeats by itself."""

    async def deliver(self, id_: str, body: bytes, *, now: datetime) -> Delivery:
        """Delivers one message once; the same `id_` is the same message, however often it is delivered."""
        ...

    async def close(self) -> None:
        """Closes connections."""
        ...


def read_secret(text: str, *, where: str) -> bytes:
    """Returns the key in a secret such as `whsec_MfKQ9r8G…`; raises SettingsError for anything else, naming `where`."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or len(key) < MIN_SECRET_BYTES:
        raise SettingsError(
            "the secret of a webhook is not one",
            where=where,
            remedy=f"give {PREFIX} and the base64 of {MIN_SECRET_BYTES} random bytes or more",
        )
    return key


def signed_headers(id_: str, body: bytes, *secrets: bytes, now: datetime) -> dict[str, str]:
    """Returns the three headers of Standard Webhooks for this body at this instant (aware), signed with each secret."""
    # The library takes any instant for one in UTC.
    signed = [standardwebhooks.Webhook(secret).sign(id_, now.astimezone(UTC), body.decode()) for secret in secrets]
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signed),
    }


class Webhook:
    """Posts to one address that is configured, never to one that is given with a message.

    Several secrets are for the time in which one replaces another: the receiver needs one of them. `where` it is
    configured stands in what is raised when it is not an address or a secret. What the name leads to is looked up
    once an attempt, held against `reach`, and connected to: no second answer can lead elsewhere.
    """

    def __init__(
        self, url: str, *secrets: str, where: str = "", timeout: float = 10.0, reach: Reach | None = None
    ) -> None:
        self._reach = reach or Reach()
        self._url, self._timeout = self._reach.check(url, where=where), timeout
        self._secrets = [read_secret(secret, where=where) for secret in secrets or ("",)]
        self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)

    async def deliver(self, id_: str, body: bytes, *, now: datetime) -> Delivery:
        """Posts once; only 2xx acknowledges, for a redirect or an error may mean that nobody has understood it."""
        host = self._url.netloc.decode()
        headers = {"host": host, "content-type": "application/json"}
        headers |= signed_headers(id_, body, *self._secrets, now=now)
        try:
            # The client's own time-out begins anew with every byte. The status says all: no body is read.
            async with asyncio.timeout(self._timeout):
                address = (await self._reach.addresses(self._url))[0]
                async with self._client.stream(
                    "POST",
                    self._url.copy_with(host=address),
                    content=body,
                    headers=headers,
                    # The certificate is still held against the name.
                    extensions={"sni_hostname": self._url.raw_host.decode().strip("[]")},
                ) as answer:
                    status, wait = answer.status_code, _seconds(answer.headers)
        except InsideAddressError:
            return Delivery(acknowledged=False, detail=INSIDE)
        except (httpx.HTTPError, OSError) as error:  # a time-out is one, and a name that leads nowhere
            return Delivery(acknowledged=False, detail=type(error).__name__)
        return Delivery(acknowledged=200 <= status < 300, detail=str(status), retry_after=wait)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


class HookFile:
    """Writes each message to a file of `directory` instead of posting it: the dry run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def deliver(self, id_: str, body: bytes, *, now: datetime) -> Delivery:
        """Writes the message once; the first one of an id stays."""
        if not _NAME.fullmatch(id_):
            return Delivery(acknowledged=False, detail=NO_NAME)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._directory / f"{id_}.json"
            if not path.exists():
                part = path.with_suffix(".part")
                part.touch(mode=0o600)
                part.write_bytes(body)
                part.replace(path)
        except OSError as error:
            return Delivery(acknowledged=False, detail=type(error).__name__)
        return Delivery(acknowledged=True, detail="file")

    async def close(self) -> None:
        """Has nothing to close."""


class NoHook:
    """Stands where nothing carries out: what was granted before waits until something does."""

    async def deliver(self, id_: str, body: bytes, *, now: datetime) -> Delivery:
        """Acknowledges nothing."""
        return Delivery(acknowledged=False, detail="TELLFIRST_EXCEPTIONS_WEBHOOK is not set")

    async def close(self) -> None:
        """Has nothing to close."""


def _seconds(headers: httpx.Headers) -> float | None:
    try:
        seconds = float(headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(seconds, LONGEST_WAIT) if seconds > 0 else None
