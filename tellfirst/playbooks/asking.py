"""Asking: the text of a survey as one customer gets it, and what is wrong with the texts of a playbook."""

from collections.abc import Iterator
from datetime import timedelta

from tellfirst.domain.message import Channel, Rendered
from tellfirst.errors import NotFoundError, PlaybookError
from tellfirst.playbooks.fields import RenderError, format_locale
from tellfirst.playbooks.gsm import normalise_gsm7, segments
from tellfirst.playbooks.per_channel import template_findings
from tellfirst.playbooks.pushed import too_long
from tellfirst.playbooks.registered import Registered
from tellfirst.playbooks.render import compile_part, fill, names_used
from tellfirst.playbooks.schema import Playbook
from tellfirst.playbooks.survey import Survey, SurveyText

LINK = "link"
LONGEST_LINK = "https://service.example.com/s/" + "x" * 87
"""As long as a signed link is under an address of ordinary length."""
BY_DIGIT = frozenset({"sms", "whatsapp"})
"""Channels on which a lone digit that is sent back is an answer."""
_HAS_SUBJECT = frozenset({"email", "in_app", "push"})
_NEEDS_WAY_OUT = frozenset({"sms", "whatsapp", "email"})


def survey_locale(survey: Survey, channel: Channel, wanted: str, default: str) -> str | None:
    """Returns the locale to ask in: the wanted one, else its language, else the default; None without any."""
    texts = survey.messages.get(channel, {})
    exact = wanted.replace("-", "_")
    return next((key for key in (exact, exact.partition("_")[0], default) if key in texts), None)


def render_survey(playbook: Playbook, channel: Channel, locale: str, *, link: str) -> Rendered:
    """Returns the question with the customer's own `link`; `locale` is one that the survey has on that channel.

    Raises NotFoundError when there is no such text, RenderError where it needs a link and there is none, or it is
    longer than the channel allows.
    """
    survey = playbook.survey
    text = None if survey is None else survey.messages.get(channel, {}).get(locale)
    if text is None:
        raise NotFoundError(f"no survey on {channel} in '{locale}'", where=f"playbook {playbook.id}")
    return _lay_out(playbook, text, channel, link)


def needs_link(playbook: Playbook, channel: Channel, locale: str) -> bool:
    """Returns whether the question on a channel can only be asked with a link."""
    survey = playbook.survey
    text = None if survey is None else survey.messages.get(channel, {}).get(locale)
    return text is not None and LINK in names_used(compile_part(text.body, "a survey"))


def survey_findings(playbook: Playbook) -> Iterator[tuple[str, str, str]]:
    """Yields key, reason and remedy of everything wrong with the survey of a playbook."""
    survey = playbook.survey
    if survey is None:
        return
    if survey.expires < timedelta(days=1):
        yield "survey.expires", "is shorter than a day, and a night may be quiet for longer", 'give at least "P1D"'
    for asked_on in survey.channels:
        if playbook.default_locale not in survey.messages.get(asked_on, {}):
            yield f"survey.messages.{asked_on}", "is missing", f"write it in {playbook.default_locale} at least"
    for channel, texts in survey.messages.items():
        if channel not in survey.channels:
            yield f"survey.messages.{channel}", "is on a channel that is not asked on", "add it to survey.channels"
        # Whoever is told in a language is asked in it: half the answers would be of those who can read the other.
        told = {locale for step in playbook.steps for locale in step.messages.get(channel, {})}
        for locale in sorted(told - texts.keys()):
            yield f"survey.messages.{channel}.{locale}", "is missing, and customers are told in it", "write it"
        for locale, text in texts.items():
            for reason, remedy in _text_findings(playbook, survey, text, channel, locale):
                yield f"survey.messages.{channel}.{locale}", reason, remedy


def _text_findings(
    playbook: Playbook, survey: Survey, text: SurveyText, channel: Channel, locale: str
) -> Iterator[tuple[str, str]]:
    if (text.subject is not None) != (channel in _HAS_SUBJECT):
        yield ("needs a subject", "add it") if text.subject is None else ("has a subject", f"{channel} has none")
    if text.out is None and channel in _NEEDS_WAY_OUT and survey.purpose != "transactional":
        yield "does not tell the way out", "say in 'out' how to stop these messages"
    yield from template_findings(channel, text.template, text.paragraphs)
    try:
        format_locale(locale)
        parts = [compile_part(part, "a survey") for part in (text.subject, *text.paragraphs) if part is not None]
        unknown = sorted({name for part in parts for name in names_used(part)} - {LINK})
        if unknown:
            yield f"uses '{unknown[0]}'", f"a survey sees only {{{{ {LINK} }}}}"
            return
        by_digit = channel in BY_DIGIT and "1" in text.body and "5" in text.body
        if LINK not in names_used(compile_part(text.body, "a survey")) and not by_digit:
            how = f"give {{{{ {LINK} }}}}" + (", or say what 1 and 5 mean" if channel in BY_DIGIT else "")
            yield "does not tell how to answer", how
        _lay_out(playbook, text, channel, LONGEST_LINK)
    except (PlaybookError, RenderError) as error:
        yield f"is refused: {error.what}", error.remedy or "shorten or correct it"
    except ValueError:
        yield "is not in a known locale", "use one such as en or pt_BR"


def _lay_out(playbook: Playbook, text: SurveyText, channel: Channel, link: str) -> Rendered:
    values = {LINK: link}
    if channel == "whatsapp":
        registered = Registered(text.paragraphs)
        variables = registered.values(values)
        return Rendered(body=registered.filled(variables), template=text.template or "", variables=variables)
    if not link and any(LINK in names_used(compile_part(part, "a survey")) for part in text.paragraphs):
        raise RenderError(LINK, "has no value", remedy="set TELLFIRST_PUBLIC_URL")
    paragraphs = [" ".join(fill(compile_part(part, "a survey"), values).split()) for part in text.paragraphs]
    if channel == "sms":
        rendered = Rendered(body=normalise_gsm7(" ".join(paragraphs)))
        if (count := segments(rendered.body)) > playbook.limits.sms_segments:
            limit = playbook.limits.sms_segments
            raise RenderError("body", f"takes {count} SMS segments and {limit} are allowed", remedy="shorten it")
        return rendered
    subject = " ".join(fill(compile_part(text.subject, "a survey"), values).split()) if text.subject else ""
    rendered = Rendered(subject=subject, body="\n\n".join(paragraphs))
    if channel == "push" and (told := too_long(rendered)) is not None:
        raise RenderError(*told, remedy="shorten it")
    return rendered
