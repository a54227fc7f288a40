"""Addenda: a text that nobody planned, beside the planned ones of an outreach: a correction, or a free update.

It is kept, approved and sent as a playbook of its own: that of the outreach, word for word, with one step in place of
its steps.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from tellfirst.errors import PlaybookError
from tellfirst.playbooks.loader import LoadedPlaybook, parse
from tellfirst.playbooks.schema import Addendum, Playbook

KEYS = ("messages", "expires")
"""What the file of an addendum may hold, as a step does."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def compose(base: LoadedPlaybook, text: str, addendum: Addendum, step: str, where: str) -> LoadedPlaybook:
    """Returns the playbook `base` with the messages of `text`, the content of the file `where`, in place of its steps.

    `step` is the id of its one step, such as `correction-1`. Raises PlaybookError as `parse` does.
    """
    try:
        given = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise PlaybookError(f"is not TOML: {error}", where=where, remedy="correct the file at that place") from None
    if unknown := sorted(given.keys() - set(KEYS)):
        remedy = (
            "give [messages.CHANNEL.LOCALE] with its parts and, where needed, 'expires'; the rest is the playbook's"
        )
        raise PlaybookError(f"'{unknown[0]}' has no place here", where=where, remedy=remedy)
    content: dict[str, Any] = {
        **tomllib.loads(base.text),
        "addendum": addendum.model_dump(),
        "steps": [{"id": step, "kind": step.rpartition("-")[0], **given}],
    }
    try:
        return parse("\n".join(_lines(content)) + "\n", where)
    except PlaybookError as error:
        what = error.what.replace("'steps[0].", "'", 1)
        raise PlaybookError(what, where=error.where, remedy=error.remedy) from None


def adds_only_texts(base: Playbook, added: Playbook) -> bool:
    """Returns whether `added` is an addendum that is `base` in everything but its steps."""
    return (
        added.addendum is not None
        and base.addendum is None
        and added.model_copy(update={"steps": (), "addendum": None}) == base.model_copy(update={"steps": ()})
    )


def _lines(content: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yields TOML that reads back as `content`: plain values first, because a table goes on to the next header."""
    tables = {key: value for key, value in content.items() if isinstance(value, dict) or _is_tables(value)}
    for key, value in content.items():
        if key not in tables:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        name = (*path, _key(key))
        for one in value if isinstance(value, list) else (value,):
            yield f"[[{'.'.join(name)}]]" if isinstance(value, list) else f"[{'.'.join(name)}]"
            yield from _lines(one, name)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())}}}"
    return repr(value) if isinstance(value, int | float) else value.isoformat()
