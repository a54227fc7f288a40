"""Rendering: approved parts and checked facts become the text one recipient gets, exactly as it leaves."""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256

import rfc8785
from liquid import BoundTemplate, Environment, StrictUndefined
from liquid.exceptions import LiquidError

from tellfirst.domain.condition import Facts, FactValue
from tellfirst.domain.message import Channel, Rendered
from tellfirst.errors import NotFoundError, PlaybookError
from tellfirst.playbooks.fields import Plain, Reader, RenderError, parse_fact
from tellfirst.playbooks.forms import LIMIT, Form, fill, names_used
from tellfirst.playbooks.gsm import normalise_gsm7, segments
from tellfirst.playbooks.pushed import too_long
from tellfirst.playbooks.registered import Registered
from tellfirst.playbooks.schema import DataField, Parts, Playbook, Step

__all__ = [
    "BODY_PARTS",
    "RenderError",
    "Template",
    "check_facts",
    "choose_locale",
    "compile_part",
    "compile_step",
    "fill",
    "names_used",
    "sample_facts",
    "template_digests",
]

BODY_PARTS = ("know", "doing", "now", "next", "human", "why", "out")
"""The parts of a body in the order they are read."""

_PARAGRAPH = "\n\n"
_BLANK_LINE = re.compile(r"\n\s*\n")
# No loop, no assignment, no file and no clock: a template cannot say anything that its facts and its text do not.
_TAGS = frozenset({"if", "unless", "case", "content", "output", "illegal"})
_FILTERS = frozenset({"capitalize", "default", "downcase", "minus", "plus", "upcase"})


class _Environment(Environment):
    output_stream_limit = LIMIT


class Template:
    """Is the compiled message of one step on one channel in one locale; made by `compile_step`, used for many rows."""

    def __init__(self, playbook: Playbook, channel: Channel, locale: str, parts: Parts, where: str) -> None:
        self.channel, self.locale = channel, locale
        self._segment_limit = playbook.limits.sms_segments
        bodies = [part for name in BODY_PARTS if (part := getattr(parts, name)) is not None]
        # Each part stands on its own before they are read as one: joined, one part's `if` could close in another.
        for part in bodies:
            compile_part(part, where)
        body = compile_part(_PARAGRAPH.join(bodies), where)
        subject = compile_part(parts.subject, where) if parts.subject else None
        self._body, self._subject = Form(body), Form(subject) if subject else None
        self._registered = Registered(bodies) if channel == "whatsapp" else None
        self._name = parts.template or ""
        names = names_used(body) | (names_used(subject) if subject else frozenset())
        self._reader = Reader(playbook.data, locale, names)

    def render(
        self, facts: Mapping[str, FactValue], *, promise: datetime | None, zone: str, others: int = 0
    ) -> Rendered:
        """Returns the message for one recipient.

        `promise` is the aware instant of the next planned message, None when there is none; `zone` the IANA name of the
        recipient's time zone; `others` how many further affected things of the same customer this message speaks for.
        Raises RenderError for a missing or wrong field, or an SMS or push message that is too long.
        """
        rendered = self.lay_out(self._reader.namespace(facts, promise=promise, zone=zone, others=others))
        if self.channel == "sms" and (count := segments(rendered.body)) > self._segment_limit:
            raise RenderError("body", f"takes {count} SMS segments and {self._segment_limit} are allowed")
        if self.channel == "push" and (told := too_long(rendered)) is not None:
            raise RenderError(*told)
        return rendered

    def lay_out(self, values: Mapping[str, Plain]) -> Rendered:
        """Returns the message made of the plain `values`, whatever its length in segments."""
        if self._registered is not None:
            variables = self._registered.values(values)
            return Rendered(body=self._registered.filled(variables), template=self._name, variables=variables)
        body = self._body.fill(values)
        if self.channel == "sms":
            return Rendered(body=normalise_gsm7(_folded(body)))
        subject = _folded(self._subject.fill(values)) if self._subject else ""
        if self.channel == "push":
            return Rendered(subject=subject, body=_folded(body))
        paragraphs = filter(None, map(_folded, _BLANK_LINE.split(body)))
        return Rendered(subject=subject, body=_PARAGRAPH.join(paragraphs))


def compile_step(playbook: Playbook, step_id: str, channel: Channel, locale: str) -> Template:
    """Returns the template of a step; `locale` falls back as in `choose_locale`.

    Raises NotFoundError when the step or its message does not exist, PlaybookError when a part is not valid Liquid.
    """
    step = _step(playbook, step_id)
    chosen = choose_locale(step, channel, locale, playbook.default_locale)
    if chosen is None:
        raise NotFoundError(
            f"step '{step_id}' has no message on {channel}",
            where=f"playbook {playbook.id}",
            remedy=f"add one in {playbook.default_locale}",
        )
    where = f"playbook {playbook.id}, step {step_id}, {channel}.{chosen}"
    try:
        return Template(playbook, channel, chosen, step.messages[channel][chosen], where)
    except RecursionError:
        raise PlaybookError("is folded too deeply", where=where, remedy="use plain {{ field }}") from None


def choose_locale(step: Step, channel: Channel, wanted: str, default: str) -> str | None:
    """Returns the locale to use: the wanted one, else its language, else the playbook's default; None without any."""
    available = step.messages.get(channel, {})
    exact = wanted.replace("-", "_")
    return next((key for key in (exact, exact.partition("_")[0], default) if key in available), None)


def check_facts(playbook: Playbook, facts: Mapping[str, FactValue]) -> None:
    """Raises RenderError naming the first declared field that is missing or not of its type."""
    for name, field in playbook.data.items():
        parse_fact(name, field, facts.get(name))


def template_digests(playbook: Playbook, step_id: str) -> dict[str, str]:
    """Returns sha256 (hex) of the canonical JSON (RFC 8785) of each message of a step, by `channel.locale`."""
    return {
        f"{channel}.{locale}": sha256(rfc8785.dumps(parts.model_dump(exclude_none=True))).hexdigest()
        for channel, locales in _step(playbook, step_id).messages.items()
        for locale, parts in locales.items()
    }


def sample_facts(playbook: Playbook) -> Facts:
    """Returns a value for every declared field, as long as the field may plausibly be: the worst case of the linter."""
    return {name: _sample(name, field) for name, field in playbook.data.items()}


def compile_part(source: str, where: str) -> BoundTemplate:
    """Returns the parsed Liquid of one part; raises PlaybookError naming `where` when it is not valid."""
    # The parser looks for the end of each one anew, which takes it a second for a part of nothing else.
    if any(source.count(begins) > source.count(ends) for begins, ends in (("{{", "}}"), ("{%", "%}"))):
        raise PlaybookError("is not valid Liquid: a {{ or {% has no end", where=where, remedy="close it with }} or %}")
    try:
        parsed = _environment().from_string(source)
        unknown = sorted(set(parsed.analyze().filters) - _FILTERS)
    except LiquidError as error:
        reason = str(error).splitlines()[0]
        raise PlaybookError(
            f"is not valid Liquid: {reason}",
            where=where,
            remedy="use {{ field }} and {% if %}, {% unless %}, {% case %}",
        ) from None
    except RecursionError:
        raise PlaybookError("is folded too deeply", where=where, remedy="use plain {{ field }}") from None
    if unknown:
        raise PlaybookError(
            f"uses the filter '{unknown[0]}'", where=where, remedy=f"only {', '.join(sorted(_FILTERS))} are allowed"
        )
    return parsed


@cache
def _environment() -> Environment:
    environment = _Environment(undefined=StrictUndefined)
    environment.tags = {name: tag for name, tag in environment.tags.items() if name in _TAGS}
    environment.filters = {name: call for name, call in environment.filters.items() if name in _FILTERS}
    return environment


def _folded(text: str) -> str:
    return " ".join(text.split())


def _step(playbook: Playbook, step_id: str) -> Step:
    try:
        return playbook.step(step_id)
    except KeyError:
        remedy = f"it has {', '.join(step.id for step in playbook.steps)}"
        raise NotFoundError(f"no step '{step_id}'", where=f"playbook {playbook.id}", remedy=remedy) from None


def _sample(name: str, field: DataField) -> FactValue:
    if field.type == "integer":
        return field.maximum if field.maximum is not None else max(9_999, field.minimum or 0)
    if field.type == "money":
        return f"{field.maximum if field.maximum is not None else '99999.99'} USD"
    if field.type == "date":
        return "2026-09-23"
    if field.type == "datetime":
        return "2026-09-23T18:00:00Z"
    start = "https://example.com/" if field.type == "url" else f"{name.replace('_', '-')}-"
    return (start + "1234567890" * 50)[: field.max_length]
