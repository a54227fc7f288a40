"""The audience root: a two-level hash, so that a dispatch proves its own page against one signed value.

A leaf covers one recipient, a page covers its leaves, the root covers the pages; order and number count at each level.
Everything is hashed as a JSON list that begins with its own tag: no two different lists have the same bytes.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence

from tellfirst.domain.condition import FactValue
from tellfirst.domain.message import Rendered

MIN_KEY_BYTES = 16
_WRITTEN = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def address_digest(key: bytes, channel: str, address: str) -> str:
    """Returns the HMAC-SHA256 of an address on a channel, 64 hexadecimal digits.

    Keyed, because all phone numbers can be tried against a bare hash. Raises ValueError for a key under 16 bytes.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"the key for address digests has {MIN_KEY_BYTES} bytes or more")
    return hmac.digest(key, _bytes("address", channel, address), "sha256").hex()


def facts_digest(facts: Mapping[str, FactValue]) -> str:
    """Returns the SHA-256 of a recipient's facts, whatever their order; 64 hexadecimal digits."""
    return _hash("facts", dict(facts))


def content_digest(rendered: Rendered) -> str:
    """Returns the SHA-256 of a text exactly as it leaves, 64 hexadecimal digits."""
    kept_there = (rendered.template, *rendered.variables) if rendered.template else ()
    return _hash("content", rendered.subject, rendered.body, *kept_there)


def leaf(
    *,
    customer: str,
    subject_key: str,
    channel: str,
    locale: str,
    timezone: str,
    address: str,
    facts: str,
    content: str,
    rank: int = 0,
) -> str:
    """Returns the leaf of one recipient, 64 hexadecimal digits; `address`, `facts`, `content` are their digests.

    `timezone` is the recipient's own, empty when unknown: promises are told in it. `rank` is that of an alternate
    channel: how many stand before it.
    """
    alternate = (rank,) if rank else ()
    return _hash("recipient", customer, subject_key, channel, locale, timezone, address, facts, content, *alternate)


def page_digest(leaves: Sequence[str]) -> str:
    """Returns the digest of a page from its leaves in order, 64 hexadecimal digits."""
    return _hash("page", len(leaves), *leaves)


def root(page_digests: Sequence[str]) -> str:
    """Returns the audience root from the page digests in order, 64 hexadecimal digits."""
    return _hash("root", len(page_digests), *page_digests)


def _hash(tag: str, *parts: object) -> str:
    return hashlib.sha256(_bytes(tag, *parts)).hexdigest()


def _bytes(tag: str, *parts: object) -> bytes:
    # Part by part: for a bare string, and most are, the encoder needs no machinery.
    return f"[{','.join([_WRITTEN(part) for part in (f'tellfirst.{tag}.v1', *parts)])}]".encode()
