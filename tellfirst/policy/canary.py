"""The first few: how they are spread over the channels, so that each channel's texts are tried where there is room."""

from collections.abc import Mapping
from typing import TypeVar

C = TypeVar("C", bound=str)


def spread(few: int, counts: Mapping[C, int]) -> dict[C, int]:
    """Returns how many of the first `few` recipients are told on each channel, in proportion to `counts`."""
    in_all, before = sum(counts.values()), 0
    shares: dict[C, int] = {}
    for channel, count in counts.items():
        shares[channel] = few * (before + count) // in_all - few * before // in_all if in_all else 0
        before += count
    return shares
