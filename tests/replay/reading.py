"""What a recorded history holds in words: payloads stand in it as base64, where no search finds anything."""

import base64
import binascii
import json
from collections.abc import Iterator
from pathlib import Path


def words(path: Path) -> str:
    """Returns all texts of a history, each payload decoded."""
    return "\n".join(_texts(json.loads(path.read_text())))


def _texts(found: object) -> Iterator[str]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield name
            yield from _texts(value)
    elif isinstance(found, list):
        for value in found:
            yield from _texts(value)
    elif isinstance(found, str):
        try:
            yield base64.b64decode(found, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            yield found
