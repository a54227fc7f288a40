"""Copies playbooks for the demo with their durations cut to seconds; everything else in them stays as it is."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from demo_screen import DemoError
from pydantic import TypeAdapter

from tellfirst.cli.output import length

_APPROVAL = {"approval.remind_after": 15, "approval.escalate_after": 20, "approval.expires_after": 34}
_UPDATE = {"steps.update-1.after": 45, "steps.update-1.lead": 10}
DURATIONS: dict[str, dict[str, int]] = {
    "retail/late_delivery": {**_APPROVAL, **_UPDATE, "measure.window": 40},
    "subscription/payment_failed": {**_APPROVAL, **_UPDATE, "measure.window": 40},
    "cloud/service_disruption": {
        **_APPROVAL,
        **_UPDATE,
        "steps.update-2.after": 60,
        "steps.update-2.lead": 10,
        "measure.window": 20,
    },
}
"""What is changed, in seconds, by playbook and key.

Promises count from planning, the window from the moment people are drawn.
"""

_TABLE = re.compile(r"\[+([^\]]+)\]+")
_DURATION = TypeAdapter(timedelta)


def shorten(library: Path, folder: Path, names: Sequence[str], *, slower: int = 1) -> list[tuple[str, ...]]:
    """Copies playbooks to `folder`, with durations so many times as long; returns a row per key for the screen.

    A row is the key, then each playbook's change.
    """
    folder.mkdir()
    told: dict[str, dict[str, str]] = {}
    for name in names:
        wanted = {key: f"PT{seconds * slower}S" for key, seconds in DURATIONS[name].items()}
        text = (library / f"{name}.toml").read_text(encoding="utf-8")
        changed = replaced(text, wanted)
        (folder / f"{Path(name).name}.toml").write_text(changed, encoding="utf-8")
        before, after = (durations(tomllib.loads(version)) for version in (text, changed))
        for key in wanted:
            told.setdefault(key, {})[name] = f"{_words(before[key])} → {_words(after[key])}"
    return [(key, *(changes.get(name, "-") for name in names)) for key, changes in told.items()]


def replaced(text: str, wanted: Mapping[str, str]) -> str:
    """Returns the TOML `text` with other durations, its comments and order kept; raises DemoError for an unknown key.

    A key is written `table.key`, or `steps.ID.key` for one of several steps.
    """
    lines, place, left = text.splitlines(keepends=True), "", dict(wanted)
    for number, line in enumerate(lines):
        if table := _TABLE.match(line):
            place = table[1]
        name, sign, value = line.partition(" = ")
        if sign and name == "id" and place == "steps":
            place = f"steps.{value.strip().strip(chr(34))}"
        if sign and (new := left.pop(f"{place}.{name}", None)) is not None:
            lines[number] = f'{name} = "{new}"\n'
    changed = "".join(lines)
    found = durations(tomllib.loads(changed))
    wrong = [*left, *(key for key, value in wanted.items() if found.get(key) != value)]
    if wrong:
        raise DemoError(f"the playbook has no duration '{wrong[0]}' to shorten")
    return changed


def durations(playbook: Mapping[str, Any]) -> dict[str, str]:
    """Returns the ISO 8601 durations of a parsed playbook by key."""
    tables = {name: table for name, table in playbook.items() if isinstance(table, dict)}
    tables |= {f"steps.{step['id']}": step for step in playbook["steps"]}
    return {
        f"{name}.{key}": value
        for name, table in tables.items()
        for key, value in table.items()
        if isinstance(value, str) and re.fullmatch(r"P[0-9TDHMS]+", value)
    }


def _words(iso: str) -> str:
    return length(_DURATION.validate_python(iso))
