"""What one channel asks of a message beyond what all do: words that a provider keeps, words that are only heard."""

import re
from collections.abc import Iterator, Sequence

from tellfirst.domain.message import Channel, Rendered
from tellfirst.playbooks.pushed import too_long
from tellfirst.playbooks.registered import LONGEST, Registered, is_plain, registered_findings
from tellfirst.playbooks.render import BODY_PARTS
from tellfirst.playbooks.schema import Parts
from tellfirst.playbooks.spoken import spoken

LONGEST_CALL = 900
"""Characters that are read out in a minute: nobody listens longer."""
_ADDRESS = re.compile(r"https?:|www\.|\b[\w-]+\.(?:com|net|org|io|de|example)\b", re.IGNORECASE)


def template_findings(channel: Channel, template: str | None, body: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields reason and remedy of what is wrong with how a message is registered with its provider, or is not."""
    if channel != "whatsapp":
        if template is not None:
            yield "names a template, and has no place for one", f"remove it: the words of {channel} are kept by us"
        return
    if template is None:
        yield "names no template", 'give the name it is registered by, such as template = "late_delivery_initial_en"'
    if not all(map(is_plain, body)):
        yield "is more than text and plain {{ field }}", "WhatsApp keeps its words: no conditions and no filters"
        return
    yield from registered_findings(Registered(body))


def channel_findings(
    channel: Channel, locale: str, parts: Parts, messages: Sequence[Rendered]
) -> Iterator[tuple[str, str]]:
    """Yields reason and remedy of what is wrong with a message on its channel; `messages` is it with sample values."""
    body = [part for name in BODY_PARTS if (part := getattr(parts, name)) is not None]
    yield from template_findings(channel, parts.template, body)
    texts = [message.body for message in messages]
    longest = max(map(len, texts))
    if channel == "push" and (told := next(filter(None, map(too_long, messages)), None)) is not None:
        yield f"is too long: its {told[0]} {told[1]}", "shorten it, or lower 'max_length' of its fields"
    if channel == "whatsapp" and longest > LONGEST:
        yield f"takes {longest} characters with the longest facts, and WhatsApp takes {LONGEST}", "shorten it"
    if channel == "voice":
        if spoken(locale) is None:
            yield "is in a language in which a call has no words for its keys", "write it in another, such as en or de"
        if any(map(_ADDRESS.search, texts)):
            yield "has a web address, which nobody can follow in a call", "say what to do instead"
        if longest > LONGEST_CALL:
            yield f"takes {longest} characters with the longest facts, and a call {LONGEST_CALL}", "shorten it"
