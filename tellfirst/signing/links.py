"""Links that a customer opens without a login, and names of mails: signed, of a send, never of a customer."""

import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from itsdangerous import BadSignature, Signer
from pydantic import AwareDatetime

from tellfirst.domain.base import Frozen

SALT = b"tellfirst.links.v1"
"""Sets these signatures apart from whatever else the key is used for."""
UNSUBSCRIBE = "/u/"
PREFERENCES = "/p/"
SURVEY = "/s/"
_MAIL = re.compile(r"\b([0-9a-f]{32})\.([0-9a-f]{20})@")


class Link(Frozen):
    """Is what a genuine link says: the send it came with, and until when it is good."""

    send: str
    until: AwareDatetime


class Links:
    """Makes and reads links under `base_url`, each good for `lifetime` after its message is of no use any more.

    Made from what a send keeps, so that every attempt at one message has the very same links.
    """

    def __init__(self, key: bytes, *, base_url: str, lifetime: timedelta) -> None:
        self._base, self._lifetime = base_url.rstrip("/"), lifetime
        self._signer = Signer(key, salt=SALT, key_derivation="hmac", digest_method=sha256)

    def unsubscribe(self, send: str, not_after: datetime) -> str:
        """Returns the address that ends all messages with one POST; empty where the installation has none."""
        return self._under(UNSUBSCRIBE, send, not_after)

    def preferences(self, send: str, not_after: datetime) -> str:
        """Returns the address of the page where the customer chooses; empty where the installation has none."""
        return self._under(PREFERENCES, send, not_after)

    def survey(self, send: str, not_after: datetime) -> str:
        """Returns the address of the page where the customer answers; empty where the installation has none."""
        return self._under(SURVEY, send, not_after)

    def read(self, token: str) -> Link | None:
        """Returns what a token says, also one that has expired; None for one that is not ours."""
        try:
            send, _, until = self._signer.unsign(token).decode().rpartition("-")
        except BadSignature:
            return None
        return Link(send=send, until=datetime.fromtimestamp(int(until), UTC))

    def _under(self, path: str, send: str, not_after: datetime) -> str:
        if not self._base:
            return ""
        until = int((not_after + self._lifetime).timestamp())
        return f"{self._base}{path}{self._signer.sign(f'{send}-{until}').decode()}"


class MailNames:
    """Names mails after their send, as only we can.

    Send ids follow from what many know, and whoever answers a mail speaks for the one it was sent to.
    """

    def __init__(self, key: bytes) -> None:
        self._key = sha256(b"tellfirst.mails.v1" + key).digest()

    def of(self, send: str) -> str:
        """Returns what stands before the @ of the Message-ID: the same at every attempt."""
        return f"{send}.{hmac.digest(self._key, send.encode(), sha256).hex()[:20]}"

    def read(self, headers: str) -> Iterator[str]:
        """Yields the sends whose mails are named in `headers`, the last one first; names that are not ours are none."""
        for send, shown in reversed(_MAIL.findall(headers)[-8:]):
            if hmac.compare_digest(self.of(send), f"{send}.{shown}"):
                yield send
