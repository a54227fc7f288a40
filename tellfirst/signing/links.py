"""Links that a customer opens without a login: signed, and of a send, never of a customer or an address."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from itsdangerous import BadSignature, Signer
from pydantic import AwareDatetime

from tellfirst.domain.base import Frozen

SALT = b"tellfirst.links.v1"
"""Sets these signatures apart from whatever else the key is used for."""
UNSUBSCRIBE = "/u/"
PREFERENCES = "/p/"


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
