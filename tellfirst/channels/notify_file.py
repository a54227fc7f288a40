"""The file `notify.toml`: by which ways the roles, teams and people of playbooks are reached."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from tellfirst.channels.notices import CONSOLE, Mail, Notifier, Notifiers, SignedNotices
from tellfirst.channels.reach import Reach
from tellfirst.channels.smtp import MailServer
from tellfirst.channels.webhook import Webhook
from tellfirst.domain.base import Outside
from tellfirst.errors import SettingsError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[^\s@<>,]+@[^\s@<>,]+$", max_length=254)]


class Way(Outside):
    """Is one named way: a signed webhook with its secret, or a mail to one address."""

    webhook: str = ""
    secret: str = Field(default="", repr=False)
    email: Address | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.webhook) == bool(self.email) or bool(self.webhook) != bool(self.secret):
            raise ValueError("a way is either 'webhook' with its 'secret' or 'email'")
        return self


class Smtp(Outside):
    """Says through which server mail leaves, and from whom."""

    host: str
    port: int = Field(default=587, ge=1, le=65_535)
    sender: Address
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: str = Field(default="", repr=False)


class NotifyFile(Outside):
    """Is the whole file."""

    ways: dict[Name, Way] = Field(default_factory=dict)
    smtp: Smtp | None = None
    to: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ways_are_there(self) -> Self:
        if CONSOLE in self.ways:
            raise ValueError(f"'{CONSOLE}' is always there: give the way another name")
        for name, ways in self.to.items():
            if not ways:
                raise ValueError(f"'{name}' is reached by nothing: list a way")
            for way in ways:
                if way != CONSOLE and way not in self.ways:
                    raise ValueError(f"'{name}' is to be reached by '{way}': write [ways.{way}]")
        if self.smtp is None and any(way.email for way in self.ways.values()):
            raise ValueError("mail needs a server: write [smtp] with 'host' and 'sender'")
        return self


def read_notifiers(path: Path | None, reach: Reach | None = None) -> Notifiers:
    """Returns the ways of the file at `path`; without one everybody is told on the console.

    Raises SettingsError naming the file, the entry and the remedy.
    """
    if path is None:
        return Notifiers({}, {})
    try:
        file = NotifyFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        ways = {name: _notifier(way, file.smtp, f"{path}, ways.{name}", reach) for name, way in file.ways.items()}
        return Notifiers(ways, file.to)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"it cannot be read ({type(error).__name__})", where=str(path), remedy="check TELLFIRST_NOTIFY"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not TOML: {error}", where=str(path), remedy="mend that line") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        entry = ".".join(str(part) for part in first["loc"]) or "ways"
        raise SettingsError(
            f"{entry}: {first['msg'].removeprefix('Value error, ')}",
            where=str(path),
            remedy="mend that entry; docs/operations.md shows the file's form",
        ) from None


def _notifier(way: Way, smtp: Smtp | None, where: str, reach: Reach | None) -> Notifier:
    if way.email and smtp is not None:
        return Mail(MailServer(**smtp.model_dump(exclude={"sender"})), smtp.sender, way.email)
    return SignedNotices(Webhook(way.webhook, way.secret, where=where, reach=reach))
