"""Who is held out: a hash instead of a die, so that a retry or an audit draws the same arm."""

import hashlib

from tellfirst.domain.outcome import Arm

SEPARATOR = "|"


def uniform(text: str) -> float:
    """Returns a number from 0 to 1 that `text` determines: the first 64 bits of its SHA-256, big-endian, over 2^64."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def draw(salt: str, epoch: str, unit: str) -> float:
    """Returns the draw of `unit` (an account cluster), 0 to 1: `uniform` of `salt|epoch|unit`.

    One salt per purpose keeps experiments independent, and a new epoch draws afresh. The separator stands twice;
    a text with one separator, such as `holdout-v1|cust-1`, is another text and draws another number. Raises
    ValueError for a salt or epoch with the separator in it: two experiments could then share their draws.
    """
    if SEPARATOR in salt or SEPARATOR in epoch:
        raise ValueError(f"salt and epoch are written without '{SEPARATOR}'")
    return uniform(SEPARATOR.join((salt, epoch, unit)))


def arm(draw: float, holdout: float) -> Arm:
    """Returns `control` when `draw` (0 to 1) lies below `holdout`, a share from 0 to below 1; else `treated`.

    A larger hold-out therefore keeps everybody who was in a smaller one. Raises ValueError outside these ranges.
    """
    if not 0 <= draw <= 1:
        raise ValueError("a draw lies from 0 to 1")
    if not 0 <= holdout < 1:
        raise ValueError("a hold-out share lies from 0 to below 1")
    return "control" if draw < holdout else "treated"
