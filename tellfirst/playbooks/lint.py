"""The linter: what the schema cannot say. A playbook with a finding is not loaded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from liquid import BoundTemplate

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel
from tellfirst.errors import PlaybookError
from tellfirst.playbooks.answers import answer_findings
from tellfirst.playbooks.asking import survey_findings
from tellfirst.playbooks.fields import BUILT_IN, PROMISE, Plain, Reader, RenderError, format_locale, known_zone
from tellfirst.playbooks.gsm import normalise_gsm7, segments
from tellfirst.playbooks.harm import harm_findings
from tellfirst.playbooks.holdouts import phase_findings
from tellfirst.playbooks.ladder import ladder_findings
from tellfirst.playbooks.per_channel import channel_findings
from tellfirst.playbooks.render import BODY_PARTS, compile_part, compile_step, fill, names_used, sample_facts
from tellfirst.playbooks.schema import NO_HOLDOUT, PERSONAL_FORBIDDEN, Parts, Playbook, Step
from tellfirst.playbooks.unseen import unseen_findings
from tellfirst.playbooks.wording import opens_with_company, says_what_to_do

# The longest day and month, and a zone without a name of its own: no real recipient's promise is longer.
_SAMPLE_PROMISE = datetime(2026, 9, 23, 18, 0, tzinfo=UTC)
_SAMPLE_ZONE = "Asia/Kathmandu"
_SAMPLE_OTHERS = 99
_NEEDS_WAY_OUT: frozenset[Channel] = frozenset({"sms", "whatsapp", "email"})
_HAS_SUBJECT: frozenset[Channel] = frozenset({"email", "in_app", "push"})


class Finding(Frozen):
    """Is one reason why a playbook may not be used: the key in its file, what is wrong, how to mend it."""

    key: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class _Message:
    """Is one message under the linter's eye: its place, its parts, and the values it is tried with."""

    playbook: Playbook
    step: Step
    channel: Channel
    locale: str
    parts: Parts
    key: str
    promised: bool  # a planned update follows, so the message has an instant to promise
    samples: tuple[dict[str, Plain], ...]


def lint(playbook: Playbook) -> list[Finding]:
    """Returns every finding in the order of the file's keys; an empty list means the playbook may be used."""
    findings = [finding for rule in _PLAYBOOK_RULES for finding in rule(playbook)]
    told = (
        *unseen_findings(playbook),
        *answer_findings(playbook),
        *ladder_findings(playbook.ladder),
        *survey_findings(playbook),
        *phase_findings(playbook),
        *harm_findings(playbook.harm, held_out=playbook.category not in NO_HOLDOUT),
    )
    findings += [Finding(key=key, reason=why, remedy=remedy) for key, why, remedy in told]
    for number, step in enumerate(playbook.steps):
        findings += _channels(playbook, step, f"steps[{number}]")
        for channel, locales in step.messages.items():
            for locale, parts in locales.items():
                findings += _message(
                    playbook, step, channel, locale, parts, f"steps[{number}].messages.{channel}.{locale}"
                )
    return findings


def _durations(playbook: Playbook) -> Iterator[Finding]:
    detector, measure = playbook.detector, playbook.measure
    positive = {
        "detector.max_age": detector.max_age,
        "detector.every": detector.every,
        "detector.timeout": detector.timeout,
        "measure.window": measure.window,
        "measure.watermark_timeout": measure.watermark_timeout,
    }
    positive["choice.fallback_after"] = playbook.choice.fallback_after
    positive["choice.call_within"] = playbook.choice.call_within
    not_negative = {"detector.hold_down": detector.hold_down}
    for number, step in enumerate(playbook.steps):
        positive[f"steps[{number}].expires"] = step.expires
        not_negative[f"steps[{number}].lead"] = step.lead
        if step.after is not None:
            positive[f"steps[{number}].after"] = step.after
            if step.lead >= step.after:
                yield Finding(
                    key=f"steps[{number}].lead",
                    reason="is not shorter than 'after', so the step would be prepared before planning",
                    remedy="make 'lead' shorter than 'after'",
                )
    for key, value in positive.items():
        if value <= timedelta(0):
            yield Finding(key=key, reason="is not longer than zero", remedy='give a duration such as "PT2H"')
    for key, value in not_negative.items():
        if value < timedelta(0):
            yield Finding(key=key, reason="is negative", remedy='give a duration such as "PT2H"')


def _timezone(playbook: Playbook) -> Iterator[Finding]:
    if known_zone(playbook.timezone) is None:
        yield Finding(
            key="timezone",
            reason="is not a known time zone",
            remedy="use an IANA name such as 'Europe/Berlin' or 'UTC'",
        )


def _owners(playbook: Playbook) -> Iterator[Finding]:
    for key, value in playbook.owners:
        names = (value,) if isinstance(value, str) else value
        if not all(name.strip() for name in names):
            yield Finding(key=f"owners.{key}", reason="is blank", remedy="name a person, a role or a team")


def _grouping(playbook: Playbook) -> Iterator[Finding]:
    for number, name in enumerate(playbook.detector.group_by):
        key = f"detector.group_by[{number}]"
        field = playbook.data.get(name)
        if field is None:
            yield Finding(
                key=key, reason=f"names the undeclared field '{name}'", remedy=f"declare it under [data.{name}]"
            )
        elif field.class_ == "personal":
            yield Finding(
                key=key,
                reason=f"names the personal field '{name}', and a condition's key stands in plain text in histories",
                remedy="group by an operational field",
            )


def _fields(playbook: Playbook) -> Iterator[Finding]:
    for name, field in playbook.data.items():
        if name in BUILT_IN:
            yield Finding(key=f"data.{name}", reason="is a built-in name", remedy="give the field another name")
        if field.source == "customer" and (name != "first_name" or field.class_ != "personal"):
            yield Finding(
                key=f"data.{name}",
                reason="comes from the customer table, which only offers 'first_name', of class 'personal'",
                remedy="use source 'subject' or 'condition'",
            )


def _deadlines(playbook: Playbook) -> Iterator[Finding]:
    if not playbook.updates:
        return
    first = playbook.updates[0]
    if first.after is not None and playbook.approval.expires_after >= first.after - first.lead:
        yield Finding(
            key="approval.expires_after",
            reason=f"leaves the decision open when step '{first.id}' is already due, so its promise could not be kept",
            remedy="make it shorter than that step's 'after' minus its 'lead'",
        )
    if playbook.resolved is None:
        yield Finding(
            key="steps",
            reason="have updates but no step of kind 'resolved', so customers are never told that it is over",
            remedy='add a step with kind = "resolved"',
        )


def _choice(playbook: Playbook) -> Iterator[Finding]:
    calls = "person" in playbook.channels
    if calls and playbook.choice.high_value is None:
        yield Finding(
            key="channels",
            reason="lists 'person', but nobody is called",
            remedy="add high_value = \"person\" to [choice], or remove 'person'",
        )
    if playbook.choice.high_value is not None and not calls and playbook.addendum is None:
        yield Finding(
            key="choice.high_value",
            reason="is 'person', which the playbook does not list",
            remedy="add 'person' to 'channels', with a script in each step",
        )
    if calls and len(playbook.channels) == 1:
        yield Finding(
            key="channels",
            reason="lists 'person' alone, so nobody but accounts of high value is told",
            remedy="add a channel for everybody else",
        )


_PLAYBOOK_RULES: tuple[Callable[[Playbook], Iterator[Finding]], ...] = (
    _timezone,
    _owners,
    _grouping,
    _durations,
    _fields,
    _deadlines,
    _choice,
)


def _channels(playbook: Playbook, step: Step, key: str) -> Iterator[Finding]:
    for channel in playbook.channels:
        # An addendum speaks on the channels of those it is for, which are known only when it is drafted.
        if not step.messages.get(channel) and playbook.addendum is None:
            yield Finding(
                key=f"{key}.messages.{channel}",
                reason="is missing although the playbook lists the channel",
                remedy="write the message or remove the channel from 'channels'",
            )
    for channel, locales in step.messages.items():
        if channel not in playbook.channels:
            yield Finding(
                key=f"{key}.messages.{channel}",
                reason="is a message for a channel that the playbook does not list",
                remedy="add the channel to 'channels' or remove the message",
            )
        elif playbook.default_locale not in locales and locales:
            yield Finding(
                key=f"{key}.messages.{channel}.{playbook.default_locale}",
                reason="is missing although it is the default locale",
                remedy=f"write the message in '{playbook.default_locale}'",
            )


def _message(
    playbook: Playbook, step: Step, channel: Channel, locale: str, parts: Parts, key: str
) -> Iterator[Finding]:
    """Yields the findings of one message; what needs sound parts is only looked at when each part is sound."""
    try:
        format_locale(locale)
    except ValueError:
        yield Finding(key=key, reason="is not a known locale", remedy="use a locale such as 'en' or 'pt_BR'")
        return
    try:
        samples = _samples(playbook, locale)
    except RenderError as error:
        yield Finding(
            key=f"data.{error.field}", reason="has bounds that no value can keep", remedy="correct the bounds"
        )
        return
    message = _Message(playbook, step, channel, locale, parts, key, _is_promised(playbook, step), samples)
    broken = False
    for name in ("subject", *BODY_PARTS):
        source = getattr(parts, name)
        if source is not None:
            for finding in _part(message, name, source):
                broken = True
                yield finding
    yield from _frame(message)
    if broken:
        return
    template = compile_step(playbook, step.id, channel, locale)
    try:
        texts = [template.lay_out(values) for values in samples]
    except RenderError as error:
        yield Finding(key=key, reason=error.what, remedy="leave it out on this channel, or make the field required")
        return
    for reason, remedy in channel_findings(channel, locale, parts, texts):
        yield Finding(key=key, reason=reason, remedy=remedy)
    if channel == "sms":
        yield from _length(message, [text.body for text in texts])


def _samples(playbook: Playbook, locale: str) -> tuple[dict[str, Plain], ...]:
    """Returns values to try: the longest ones alone and with others, and the optional fields left out."""
    full = sample_facts(playbook)
    least = {name: value for name, value in full.items() if playbook.data[name].required}
    reader = Reader(playbook.data, locale, playbook.data)
    tries = ((full, 0), (full, _SAMPLE_OTHERS), (least, 0), (least, _SAMPLE_OTHERS))
    return tuple(
        reader.namespace(facts, promise=_SAMPLE_PROMISE, zone=_SAMPLE_ZONE, others=others) for facts, others in tries
    )


def _is_promised(playbook: Playbook, step: Step) -> bool:
    if step.kind == "resolved" or not playbook.updates:
        return False
    return step.kind == "initial" or step.id != playbook.updates[-1].id


def _part(message: _Message, name: str, source: str) -> Iterator[Finding]:
    key = f"{message.key}.{name}"
    try:
        part = compile_part(source, key)
    except PlaybookError as error:
        yield Finding(key=key, reason=error.what, remedy=error.remedy or "correct it")
        return
    names = names_used(part)
    undeclared = sorted(names - message.playbook.data.keys() - BUILT_IN)
    for field in undeclared:
        yield Finding(key=key, reason=f"uses the undeclared field '{field}'", remedy=f"declare it under [data.{field}]")
    if undeclared:
        return
    if message.channel in PERSONAL_FORBIDDEN:
        for field in sorted(names - BUILT_IN):
            if message.playbook.data[field].class_ == "personal":
                yield Finding(
                    key=key,
                    reason=f"uses the personal field '{field}', which may not travel on {message.channel}",
                    remedy="leave it out on this channel",
                )
    try:
        texts = [normalise_gsm7(" ".join(fill(part, values).split())) for values in message.samples]
    except RenderError as error:
        yield Finding(key=key, reason=error.what, remedy="use only the plain values of declared fields")
        return
    if not all(texts):
        yield Finding(key=key, reason="is blank", remedy="say it, whatever the facts are")
        return
    yield from _promise(message, name, key, part, texts)
    if name == "know" and any(opens_with_company(text, message.locale) for text in texts):
        yield Finding(
            key=key,
            reason="opens with the company instead of what happened to the customer",
            remedy="begin with what the customer feels, such as 'Your order ...'",
        )
    if name == "now" and not all(says_what_to_do(text, message.locale) for text in texts):
        yield Finding(
            key=key,
            reason="does not say whether the customer needs to do anything",
            remedy="say so, such as 'You don't need to do anything' or 'Please ...'",
        )


def _promise(message: _Message, name: str, key: str, part: BoundTemplate, texts: list[str]) -> Iterator[Finding]:
    if not message.promised and PROMISE in names_used(part):
        yield Finding(
            key=key,
            reason="promises a next message, but no planned update follows this step",
            remedy="remove {{ promise }} or add a step of kind 'update'",
        )
    if message.promised and name == "next":
        written = [normalise_gsm7(" ".join(str(values[PROMISE]).split())) for values in message.samples]
        if not all(promise in text for promise, text in zip(written, texts, strict=True)):
            yield Finding(
                key=key,
                reason="does not say when the next planned update comes",
                remedy="say it with {{ promise }}, whatever the facts are",
            )


def _frame(message: _Message) -> Iterator[Finding]:
    """Yields what is missing around the five parts: the way out and the subject."""
    parts, channel = message.parts, message.channel
    if parts.out is None and channel in _NEEDS_WAY_OUT and message.playbook.purpose != "transactional":
        yield Finding(
            key=f"{message.key}.out",
            reason=f"is missing, and purpose '{message.playbook.purpose}' needs a way out on {channel}",
            remedy="say how to stop these messages",
        )
    if parts.subject is None and channel in _HAS_SUBJECT:
        yield Finding(
            key=f"{message.key}.subject", reason=f"is missing, and {channel} needs one", remedy="write a short subject"
        )
    if parts.subject is not None and channel not in _HAS_SUBJECT:
        yield Finding(
            key=f"{message.key}.subject", reason=f"has no place on {channel}", remedy="remove it; 'know' opens the text"
        )


def _length(message: _Message, bodies: list[str]) -> Iterator[Finding]:
    longest = max(bodies, key=segments)
    limit = message.playbook.limits.sms_segments
    if (count := segments(longest)) > limit:
        yield Finding(
            key=message.key,
            reason=f"takes {count} SMS segments with the longest facts, and {limit} are allowed",
            remedy=f"shorten its {len(longest)} characters, or lower 'max_length' of its fields",
        )
