"""Loading: a file's text becomes a playbook with its version, or one error that names file, key, reason and remedy."""

import tomllib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from tellfirst.domain.base import Frozen
from tellfirst.errors import PlaybookError
from tellfirst.playbooks.lint import lint
from tellfirst.playbooks.schema import Playbook

LIBRARY = Path(__file__).with_name("library")
"""The folder of the playbooks that come with Tellfirst."""


class LoadedPlaybook(Frozen):
    """Is a playbook that passed schema and linter; `version` is the sha256 (hex) of `text`, its lines ended by LF."""

    playbook: Playbook
    version: str
    text: str


def parse(text: str, where: str) -> LoadedPlaybook:
    """Returns the playbook in `text`, the content of the file `where`.

    Raises PlaybookError, in one sentence with file, key, reason and remedy, for broken TOML, a broken schema or any
    finding of the linter; the first is told and the others are counted.
    """
    text = text.replace("\r\n", "\n")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlaybookError(f"is not TOML: {error}", where=where, remedy="correct the file at that place") from None
    try:
        playbook = Playbook.model_validate(content)
    except ValidationError as error:
        raise _schema_error(error, where) from None
    findings = lint(playbook)
    if findings:
        first = findings[0]
        raise _error(where, first.key, first.reason, first.remedy, len(findings) - 1)
    return LoadedPlaybook(playbook=playbook, version=sha256(text.encode()).hexdigest(), text=text)


def load_file(path: Path) -> LoadedPlaybook:
    """Returns the playbook of a file, whose name without `.toml` is its id; raises PlaybookError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PlaybookError(f"cannot be read: {reason}", where=str(path), remedy="check the path") from None
    except UnicodeDecodeError:
        raise PlaybookError("is not UTF-8 text", where=str(path), remedy="save it as UTF-8") from None
    loaded = parse(text, str(path))
    if loaded.playbook.addendum is not None:
        raise _error(str(path), "addendum", "has no place in a playbook", "draft it with `tellfirst correct`")
    if loaded.playbook.id != path.stem:
        raise _error(
            str(path),
            "id",
            f"is '{loaded.playbook.id}' but the file is named '{path.stem}'",
            "give the file and the playbook the same name",
        )
    return loaded


def load_library(folders: Sequence[Path]) -> dict[str, LoadedPlaybook]:
    """Returns the playbooks of all `*.toml` files in and below `folders`, by id; raises PlaybookError."""
    library: dict[str, LoadedPlaybook] = {}
    origin: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise PlaybookError("is not a folder", where=str(folder), remedy="check the path of the playbooks")
        for path in sorted(folder.rglob("*.toml")):
            loaded = load_file(path)
            name = loaded.playbook.id
            if name in origin and not path.samefile(origin[name]):
                raise _error(
                    str(path), "id", f"'{name}' is also the id of {origin[name]}", "rename or remove one of them"
                )
            library[name], origin[name] = loaded, path
    return library


def _error(where: str, key: str, reason: str, remedy: str, more: int = 0) -> PlaybookError:
    return PlaybookError(
        f"'{key}' {reason}" if key else f"the playbook {reason}",
        where=where,
        remedy=f"{remedy} (and {more} more)" if more > 0 else remedy,
    )


def _schema_error(error: ValidationError, where: str) -> PlaybookError:
    """Says pydantic's first finding in our words; a misspelt key before the one that it leaves missing."""
    errors = error.errors(include_url=False, include_input=False)
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    context = first.get("ctx", {})
    match first["type"]:
        case "missing":
            reason, remedy = "is missing", "add it"
        case "extra_forbidden":
            reason, remedy = "is not a key of a playbook", "correct its spelling or remove it"
        case "literal_error":
            reason, remedy = f"is not {context['expected']}", "use one of these"
        case "string_pattern_mismatch":
            reason, remedy = "has the wrong form", f"write it like {context['pattern']}"
        case "string_too_short" | "too_short":
            reason, remedy = "is empty", "fill it in"
        case "step_id":
            reason, remedy = f"is refused: {first['msg']}", f'name it like id = "{context["named"]}"'
        case "value_error":
            reason, remedy = f"is refused: {context['error']}", "correct it"
        case _:
            reason, remedy = f"is refused: {first['msg'][:1].lower()}{first['msg'][1:]}", "correct it"
    return _error(where, _key(first["loc"]), reason, remedy, error.error_count() - 1)


def _key(location: tuple[str | int, ...]) -> str:
    """Writes pydantic's location as the key of the file, such as `steps[1].messages.sms.en.next`."""
    key = ""
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        elif part != "[key]":
            key += f".{part}" if key else part
    return key
