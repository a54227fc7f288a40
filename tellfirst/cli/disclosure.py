"""`playbooks disclosure`: what the help centre says about messages that come without being asked for."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

from tellfirst.cli.library_change import may_send
from tellfirst.cli.output import Json, print_json, say
from tellfirst.cli.wiring import Installation, opened, read_library
from tellfirst.domain.message import Channel
from tellfirst.errors import NotFoundError
from tellfirst.playbooks.loader import LoadedPlaybook
from tellfirst.playbooks.schema import Playbook
from tellfirst.settings import Settings
from tellfirst.signing.kinds import Permit
from tellfirst.store.matters import APPROVED

REACHED_BY: dict[Channel, str] = {"sms": "by text", "email": "by e-mail", "in_app": "in the app"}
"""How we write, in the order in which it is told."""
STOPPED_BY: dict[Channel, str] = {
    "sms": "Texts: reply STOP.",
    "email": "E-mails: use the link or the words at their end that say how to stop.",
    "in_app": "In the app: ask us, in the way that the message names.",
}
REVIEWED = "A person reviews and signs every message before it leaves, and answers for it."
REVIEWED_OR_PERMITTED = (
    "A person reviews and signs every message before it leaves, and answers for it. Those marked with an asterisk may "
    "not be able to wait for that: a person has then permitted the exact words in advance, for so many people at most."
)


def disclosure(as_json: Annotated[bool, Json] = False) -> None:
    """Print the text for the help centre.

    What we reach out about, who reviews it, how to opt out. From the playbooks that are live: approved versions
    where they are demanded, else all but those for tests.
    """
    settings = Settings.load()
    with opened(settings) as here:
        live = _live(here, settings)
        permitted = _permitted(here, live, datetime.now(UTC))
    books = [loaded.playbook for loaded in live]
    if not books:
        raise NotFoundError("no playbook is live", remedy="`tellfirst playbooks history` tells how they stand")
    text = help_text(books, permitted)
    if as_json:
        print_json({"text": text, "playbooks": [book.id for book in books], "permitted": sorted(permitted)})
    else:
        for line in text.splitlines():
            say(line)


def help_text(books: Iterable[Playbook], permitted: Iterable[str]) -> str:
    """Returns the help centre's text about `books`; those in `permitted` may send without asking each time."""
    books, ahead = list(books), set(permitted)
    channels = [channel for channel in STOPPED_BY if any(channel in book.channels for book in books)]
    lines = [
        "## When we write to you first",
        "",
        "Something may go wrong before you notice. We then tell you, about:",
        "",
    ]
    for book in books:
        ways = ", ".join(way for channel, way in REACHED_BY.items() if channel in book.channels)
        lines.append(f"- {book.title[:1].lower()}{book.title[1:]} ({ways})" + (" *" if book.id in ahead else ""))
    marked = ahead & {book.id for book in books}
    lines += ["", REVIEWED_OR_PERMITTED if marked else REVIEWED, "Each message says how to reach a person."]
    lines += ["", "How to stop these messages:", ""]
    lines += [f"- {STOPPED_BY[channel]}" for channel in channels]
    return "\n".join(lines)


def _live(here: Installation, settings: Settings) -> list[LoadedPlaybook]:
    installed = [loaded for _, loaded in sorted(read_library(settings).items())]
    return [loaded for loaded in installed if loaded.playbook.purpose_of_use == "live" and may_send(here, loaded)]


def _permitted(here: Installation, live: Iterable[LoadedPlaybook], now: datetime) -> set[str]:
    permits = [record.proposal for record in here.matters.of_kind("permit", APPROVED)]
    versions = {p.playbook_version for p in permits if isinstance(p, Permit) and p.valid_until > now}
    return {loaded.playbook.id for loaded in live if loaded.version in versions}
