"""What a customer whose exception was granted is told: strict templates that see the amount and nothing else."""

from collections.abc import Iterator
from decimal import Decimal

from babel.numbers import format_currency, get_currency_precision, list_currencies
from liquid import BoundTemplate

from tellfirst.domain.message import Channel, Rendered
from tellfirst.errors import NotFoundError, PlaybookError
from tellfirst.playbooks.boundaries import AnswerText, Boundary
from tellfirst.playbooks.fields import RenderError, format_locale
from tellfirst.playbooks.gsm import normalise_gsm7, segments
from tellfirst.playbooks.per_channel import template_findings
from tellfirst.playbooks.pushed import too_long
from tellfirst.playbooks.registered import Registered
from tellfirst.playbooks.render import compile_part, fill, names_used
from tellfirst.playbooks.schema import Playbook

AMOUNT = "amount"
REFERENCE = "reference"
LONGEST_REFERENCE = 64
"""Characters of the longest id that a request may have."""
_HAS_SUBJECT = frozenset({"email", "in_app", "push"})


def major(amount_minor: int, currency: str) -> Decimal:
    """Returns an amount in whole units of its currency: 1250 in EUR are 12.50, in JPY 1250."""
    return Decimal(amount_minor).scaleb(-get_currency_precision(currency))


def render_answer(
    playbook: Playbook, kind: str, channel: Channel, locale: str, *, amount_minor: int, reference: str
) -> Rendered:
    """Returns the answer to a granted exception; `locale` falls back to its language, then to the playbook's default.

    Raises NotFoundError when the playbook has none, RenderError for a text longer than the channel allows.
    """
    boundary = playbook.exceptions.get(kind)  # type: ignore[call-overload]
    texts = boundary.answers.get(channel, {}) if boundary is not None else {}
    wanted = locale.replace("-", "_")
    chosen = next((key for key in (wanted, wanted.partition("_")[0], playbook.default_locale) if key in texts), None)
    if boundary is None or chosen is None:
        raise NotFoundError(
            f"exception '{kind}' has no answer on {channel}",
            where=f"playbook {playbook.id}",
            remedy=f"add one in {playbook.default_locale}",
        )
    return _lay_out(playbook, boundary, texts[chosen], channel, chosen, amount_minor, reference)


def answer_findings(playbook: Playbook) -> Iterator[tuple[str, str, str]]:
    """Yields key, reason and remedy of everything wrong with the answers of a playbook's exceptions."""
    for kind, boundary in playbook.exceptions.items():
        key = f"exceptions.{kind}"
        if boundary.currency not in list_currencies():
            yield f"{key}.currency", "is not a known currency", "write a code of ISO 4217 such as EUR"
            continue
        for channel in playbook.channels:
            if playbook.default_locale not in boundary.answers.get(channel, {}):
                remedy = f"write it in {playbook.default_locale} at least"
                yield f"{key}.answers.{channel}", "is missing", remedy
        for channel, texts in boundary.answers.items():
            for locale, text in texts.items():
                for reason, remedy in _text_findings(playbook, boundary, text, channel, locale):
                    yield f"{key}.answers.{channel}.{locale}", reason, remedy


def _text_findings(
    playbook: Playbook, boundary: Boundary, text: AnswerText, channel: Channel, locale: str
) -> Iterator[tuple[str, str]]:
    if channel not in playbook.channels:
        yield "is on a channel that the playbook does not use", "remove it, or add the channel"
    if (text.subject is not None) != (channel in _HAS_SUBJECT):
        yield ("needs a subject", "add it") if text.subject is None else ("has a subject", f"{channel} has none")
    yield from template_findings(channel, text.template, [text.body])
    try:
        format_locale(locale)
        parts = [_compile(part) for part in (text.subject, text.body) if part is not None]
        unknown = sorted({name for part in parts for name in names_used(part)} - {AMOUNT, REFERENCE})
        if unknown:
            yield f"uses '{unknown[0]}'", f"an answer sees only {{{{ {AMOUNT} }}}} and {{{{ {REFERENCE} }}}}"
        elif AMOUNT not in names_used(parts[-1]):
            yield "does not tell the amount", f"say {{{{ {AMOUNT} }}}} in its body"
        else:
            _lay_out(playbook, boundary, text, channel, locale, boundary.most, "x" * LONGEST_REFERENCE)
    except (PlaybookError, RenderError) as error:
        yield f"is refused: {error.what}", error.remedy or "shorten or correct it"
    except ValueError:
        yield "is not in a known locale", "use one such as en or pt_BR"


def _lay_out(
    playbook: Playbook,
    boundary: Boundary,
    text: AnswerText,
    channel: Channel,
    locale: str,
    amount_minor: int,
    reference: str,
) -> Rendered:
    amount = format_currency(major(amount_minor, boundary.currency), boundary.currency, locale=format_locale(locale))
    values = {AMOUNT: amount, REFERENCE: reference}
    if channel == "whatsapp":
        registered = Registered([text.body])
        variables = registered.values(values)
        return Rendered(body=registered.filled(variables), template=text.template or "", variables=variables)
    body = fill(_compile(text.body), values)
    if channel != "sms":
        subject = " ".join(fill(_compile(text.subject), values).split()) if text.subject else ""
        rendered = Rendered(subject=subject, body=body.strip())
        if channel == "push" and (told := too_long(rendered)) is not None:
            raise RenderError(*told, remedy="shorten it")
        return rendered
    rendered = Rendered(body=normalise_gsm7(" ".join(body.split())))
    if (count := segments(rendered.body)) > playbook.limits.sms_segments:
        limit = playbook.limits.sms_segments
        raise RenderError("body", f"takes {count} SMS segments and {limit} are allowed", remedy="shorten it")
    return rendered


def _compile(part: str) -> BoundTemplate:
    return compile_part(part, "an answer")
