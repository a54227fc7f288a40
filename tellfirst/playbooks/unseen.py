"""What a reader cannot see in a text, or takes for another letter: refused in playbooks, and in facts.

Hidden characters turn words round or break them for whoever approves, and an address with a letter of another script
leads elsewhere than it says.
"""

import re
from collections.abc import Iterator
from typing import Any

from tellfirst.playbooks.schema import Playbook

# Control characters, line and paragraph separators, marks that reverse the direction of what follows, spaces without
# width and tags. Not the joiners and marks that Persian, Hindi, Hebrew and families of signs are written with.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff"
)
HIDDEN_IN_LINE = re.compile(f"[\t\n{_HIDDEN}]")
HIDDEN = re.compile(f"[{_HIDDEN}]")
_ADDRESS = re.compile(r"://|\bwww\.|\w\.\w{2}", re.IGNORECASE)


def unseen_findings(playbook: Playbook) -> Iterator[tuple[str, str, str]]:
    """Yields key, reason and remedy of every text of a playbook that is not what it looks like."""
    for key, text in _texts(playbook.model_dump(mode="json", by_alias=True), ""):
        if found := HIDDEN.search(text):
            yield key, f"holds a character that nobody sees (U+{ord(found[0]):04X})", "write the text anew, by hand"
        elif ".sql." not in key:
            for address in filter(_ADDRESS.search, text.split()):
                if not address.isascii():
                    yield key, "has a web address with a letter that is not ASCII", "write it as https://xn--..."
                elif "://" in address and "@" in re.split(r"[/?#]", address.partition("://")[2])[0]:
                    yield key, "has a web address that begins with another one", "leave out what stands before its @"


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yields each text with its key, and each name of a table under itself."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{key}[{number}]")
    elif isinstance(value, dict):
        for name, inner in value.items():
            path = f"{key}.{name}" if key else name
            if not name.isascii():
                yield path, name
            yield from _texts(inner, path)
