"""The GSM-7 alphabet: how a text must be written so that it leaves as approved, and how many segments it costs."""

import re
import unicodedata
from functools import lru_cache

import gsm0338  # registers the codec "gsm03.38"

_WRITTEN = {
    **dict.fromkeys("‘’‚‛′‹›`´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−•", "-"),
    **dict.fromkeys("\t\u00a0\u1680\u202f\u205f\u3000", " "),
    **dict.fromkeys(map(chr, range(0x2000, 0x200B)), " "),
    **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
    "…": "...",
}
_TYPOGRAPHY = re.compile(f"[{re.escape(''.join(_WRITTEN))}]")
_UNMAPPED = 0


def normalise_gsm7(text: str) -> str:
    """Returns `text` with typographic quotes, dashes, dots and spaces written in GSM-7; letters are never changed."""
    return _TYPOGRAPHY.sub(lambda match: _WRITTEN[match[0]], unicodedata.normalize("NFC", text))


def segments(text: str) -> int:
    """Returns how many SMS segments `text` takes; 0 for an empty text.

    GSM-7 holds 160 septets in one segment or 153 in each of several, an extension character counts as two and is never
    split; one character outside GSM-7 makes the whole text UCS-2 with 70 or 67 UTF-16 units (3GPP TS 23.038, 23.040).
    """
    sizes = {char: _septets(char) for char in set(text)}
    single, several = 160, 153
    if _UNMAPPED in sizes.values():
        sizes = {char: 2 if ord(char) > 0xFFFF else 1 for char in sizes}
        single, several = 70, 67
    wide = [char for char, size in sizes.items() if size == 2]
    units = len(text) + sum(map(text.count, wide))
    if units <= single:
        return min(1, units)
    return _packed(text, sizes, several) if wide else -(-units // several)


def _packed(text: str, sizes: dict[str, int], room: int) -> int:
    """Returns the number of segments of `room` units when no character is split between two."""
    count, used = 1, 0
    for char in text:
        used += sizes[char]
        if used > room:
            count, used = count + 1, sizes[char]
    return count


@lru_cache(maxsize=4096)
def _septets(char: str) -> int:
    """Returns how many septets `char` takes in GSM-7, or 0 when the alphabet lacks it."""
    try:
        return len(char.encode(gsm0338.Codec.NAME))
    except UnicodeEncodeError:
        return _UNMAPPED
