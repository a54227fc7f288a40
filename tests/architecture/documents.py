"""What the documents must say, taken from the code: the rows of the settings, the commands, the links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tellfirst.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def settings_rows() -> Iterator[tuple[str, str]]:
    """Yields the name of each variable and how its row in docs/operations.md begins."""
    for field, info in Settings.model_fields.items():
        alias = getattr(info.validation_alias, "choices", [None])[0]
        name = str(alias or f"TELLFIRST_{field.upper()}")
        default = info.default.get_secret_value() if isinstance(info.default, SecretStr) else info.default
        shown = "" if default in (None, "", ()) else f"`{default}`"
        yield name, f"| `{name}` | {shown} | {info.description} |"


def commands(command: Any, name: str) -> Iterator[str]:
    """Yields every command of a Typer application under its whole name."""
    if children := getattr(command, "commands", None):
        for part, child in children.items():
            yield from commands(child, f"{name} {part}")
    else:
        yield name


def links(text: str) -> Iterator[str]:
    """Yields the targets of links that stay in this repository."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(text: str) -> set[str]:
    """Returns the anchors that a page's headings get."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    heads = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
