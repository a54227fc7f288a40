"""`playbooks templates`: the words to register with WhatsApp, and which of them this installation has registered."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import typer
from rich.padding import Padding

from tellfirst.channels.whatsapp_templates import read_templates
from tellfirst.cli.output import Json, counted, note, print_json, put, say, shown
from tellfirst.cli.wiring import find_playbook, read_library
from tellfirst.domain.base import Frozen
from tellfirst.playbooks.registered import Registered
from tellfirst.playbooks.render import BODY_PARTS
from tellfirst.playbooks.schema import Playbook
from tellfirst.settings import Settings


class WordsToRegister(Frozen):
    """Is one message as WhatsApp is to know it; `fields` stand in its places, `content_sid` is empty when unknown."""

    template: str
    playbook: str
    locale: str
    body: str
    fields: tuple[str, ...]
    content_sid: str


def templates(
    name: Annotated[str | None, typer.Argument(metavar="[ID]", help="The id of a playbook; default all.")] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Print the words to register with WhatsApp.

    Each with the fields in its places, and its ContentSid once TELLFIRST_WHATSAPP_TEMPLATES has it.
    """
    settings = Settings.load()
    library, known = read_library(settings), read_templates(settings.whatsapp_templates)
    chosen = [find_playbook(library, name)] if name else [loaded for _, loaded in sorted(library.items())]
    found = [words for loaded in chosen for words in words_of(loaded.playbook, known)]
    if as_json:
        print_json([words.model_dump() for words in found])
        return
    for words in found:
        head = f"{words.template} ({words.locale}, {words.playbook}): {words.content_sid or 'not registered yet'}"
        put(shown(head, "bold"))
        put(Padding(shown(words.body), (0, 0, 0, 2), expand=False))
        for place, field in enumerate(words.fields, start=1):
            put(Padding(shown(f"{{{{{place}}}}} is {field}", "dim"), (0, 0, 0, 2), expand=False))
        put("")
    if not found:
        say("no playbook speaks on whatsapp")
    elif missing := sum(not words.content_sid for words in found):
        note(f"{counted(missing, 'template')} without a ContentSid in TELLFIRST_WHATSAPP_TEMPLATES")


def words_of(playbook: Playbook, known: Mapping[str, str]) -> Iterator[WordsToRegister]:
    """Yields every message of a playbook on WhatsApp, its answers and survey too; `known` has the ContentSids."""
    for locale, template, parts in _messages(playbook):
        registered = Registered(parts)
        yield WordsToRegister(
            template=template,
            playbook=playbook.id,
            locale=locale,
            body=registered.body,
            fields=registered.names,
            content_sid=known.get(template, ""),
        )


def _messages(playbook: Playbook) -> Iterator[tuple[str, str, list[str]]]:
    for step in playbook.steps:
        for locale, parts in step.messages.get("whatsapp", {}).items():
            body = [part for name in BODY_PARTS if (part := getattr(parts, name)) is not None]
            yield locale, parts.template or "", body
    for boundary in playbook.exceptions.values():
        for locale, answer in boundary.answers.get("whatsapp", {}).items():
            yield locale, answer.template or "", [answer.body]
    for locale, text in (playbook.survey.messages.get("whatsapp", {}) if playbook.survey else {}).items():
        yield locale, text.template or "", list(text.paragraphs)
