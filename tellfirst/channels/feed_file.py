"""The file `events.toml`: which other systems are told what happens, where, and of what."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError, field_validator

from tellfirst.channels.reach import Reach
from tellfirst.channels.webhook import Hook, Webhook
from tellfirst.domain.base import Outside
from tellfirst.domain.feed import HAPPENINGS, chosen
from tellfirst.errors import SettingsError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


@dataclass(frozen=True)
class Endpoint:
    """Is one system: the way to it, and the types it is told of."""

    hook: Hook
    types: tuple[str, ...]


class EndpointEntry(Outside):
    """Is one system as the file names it; a type may end in `.*`, and `*` is all of them."""

    name: Name
    url: str = Field(min_length=1, max_length=2_000)
    secrets: tuple[str, ...] = Field(min_length=1, max_length=3, repr=False)
    types: tuple[str, ...] = Field(default=("*",), min_length=1)

    @field_validator("types")
    @classmethod
    def _are_there(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            if not any(chosen(type_, [pattern]) for type_ in HAPPENINGS):
                raise ValueError(f"no event is of the type '{pattern}'")
        return value


class EventsFile(Outside):
    """Is the whole file."""

    endpoint: tuple[EndpointEntry, ...] = ()

    @field_validator("endpoint")
    @classmethod
    def _once_each(cls, value: tuple[EndpointEntry, ...]) -> tuple[EndpointEntry, ...]:
        names = [entry.name for entry in value]
        if len(names) != len(set(names)):
            raise ValueError("each endpoint needs a name of its own")
        return value


def read_endpoints(path: Path | None, reach: Reach | None = None) -> Mapping[str, Endpoint]:
    """Returns the systems of the file at `path` by name, none without one; raises SettingsError naming the entry."""
    if path is None:
        return {}
    try:
        file = EventsFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        return {
            one.name: Endpoint(
                Webhook(one.url, *one.secrets, where=f"{path}, endpoint '{one.name}'", reach=reach), one.types
            )
            for one in file.endpoint
        }
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"it cannot be read ({type(error).__name__})", where=str(path), remedy="check TELLFIRST_EVENTS_OUT"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not TOML: {error}", where=str(path), remedy="mend that line") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        entry = ".".join(str(part) for part in first["loc"]) or "endpoint"
        raise SettingsError(
            f"{entry}: {first['msg'].removeprefix('Value error, ')}",
            where=str(path),
            remedy="mend that entry; docs/events.md shows the file's form",
        ) from None
