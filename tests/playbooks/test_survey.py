"""What is asked after the windows: sound in every language, answerable, with a way out, and not of everybody."""

from typing import Any

import pytest
from pydantic import ValidationError

from tellfirst.playbooks.asking import LONGEST_LINK, needs_link, render_survey, survey_findings, survey_locale
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.lint import lint
from tellfirst.playbooks.loader import LIBRARY, load_library
from tellfirst.playbooks.schema import Playbook
from tests.playbooks.make import content, playbook

SMS = {"body": "Your train was late. How easy was it? 1 is very hard, 5 very easy.", "out": "STOP ends these texts."}
EMAIL = {"subject": "Your train", "body": "How easy was it? {{ link }}", "out": "Unsubscribe there."}


def with_survey(sms: dict[str, Any] | None = None, email: dict[str, Any] | None = None, **changed: Any) -> Playbook:
    survey = {
        "kind": "ces",
        "share": 0.5,
        "channels": ["sms", "email"],
        "messages": {"sms": {"en": {**SMS, **(sms or {})}}, "email": {"en": {**EMAIL, **(email or {})}}},
    }
    return playbook({**content(), "survey": {**survey, **changed}})


def test_a_sound_one_has_no_findings() -> None:
    assert lint(with_survey()) == []


@pytest.mark.parametrize(
    ("given", "key", "reason"),
    [
        ({"messages": {"sms": {"en": SMS}}}, "survey.messages.email", "is missing"),
        ({"channels": ["sms"]}, "survey.messages.email", "not asked on"),
        ({"expires": "PT2H"}, "survey.expires", "shorter than a day"),
        ({"sms": {"out": None}}, "survey.messages.sms.en", "way out"),
        ({"sms": {"body": "How easy was it?"}}, "survey.messages.sms.en", "how to answer"),
        ({"email": {"body": "From 1 to 5, how easy?"}}, "survey.messages.email.en", "how to answer"),
        ({"email": {"body": "{{ train }} {{ link }}"}}, "survey.messages.email.en", "uses 'train'"),
        ({"email": {"subject": None}}, "survey.messages.email.en", "needs a subject"),
        ({"sms": {"subject": "Hello"}}, "survey.messages.sms.en", "has a subject"),
        ({"sms": {"body": "1 to 5? " * 60}}, "survey.messages.sms.en", "SMS segments"),
        ({"email": {"body": "{% for x in y %}"}}, "survey.messages.email.en", "not valid Liquid"),
        ({"sms": {"template": "a_name"}}, "survey.messages.sms.en", "names a template"),
    ],
)
def test_what_is_wrong_is_found(given: dict[str, Any], key: str, reason: str) -> None:
    found = [(where, what) for where, what, _ in survey_findings(with_survey(**given))]
    assert any(where.startswith(key) and reason in what for where, what in found), found


def test_who_is_told_in_a_language_is_asked_in_it() -> None:
    data = content()
    data["steps"][0]["messages"]["sms"]["de"] = data["steps"][0]["messages"]["sms"]["en"]
    data["survey"] = with_survey().survey.model_dump(mode="json", exclude_none=True)  # type: ignore[union-attr]
    assert [key for key, _, _ in survey_findings(playbook(data))] == ["survey.messages.sms.de"]


@pytest.mark.parametrize("category", ["security", "fraud", "safety", "recall", "legal_notice"])
def test_whom_harm_befell_is_asked_only_where_the_playbook_says_so(category: str) -> None:
    data = {**content(), "category": category, "measure": {"window": "P1D", "holdout": 0}}
    survey = with_survey().survey.model_dump(mode="json", exclude_none=True)  # type: ignore[union-attr]
    with pytest.raises(ValidationError, match="sensitive = true"):
        playbook({**data, "survey": survey})
    assert playbook({**data, "survey": {**survey, "sensitive": True}}).survey is not None


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.1}, {"after": "-PT1H"}, {"channels": ["voice"]}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        with_survey(**wrong)


def test_the_question_has_the_customers_own_link_and_nothing_else() -> None:
    book = with_survey()
    rendered = render_survey(book, "email", "en", link="https://x.example/s/1")
    assert rendered.body == "How easy was it? https://x.example/s/1\n\nUnsubscribe there."
    with pytest.raises(RenderError, match="link"):
        render_survey(book, "email", "en", link="")
    assert (needs_link(book, "email", "en"), needs_link(book, "sms", "en")) == (True, False)
    assert render_survey(book, "sms", "en", link="").body.endswith("5 very easy. STOP ends these texts.")


def test_the_shipped_one_is_asked_in_every_language_within_its_segments() -> None:
    book = load_library([LIBRARY])["late_delivery"].playbook
    assert book.survey is not None
    for channel, texts in book.survey.messages.items():
        assert texts.keys() == {"en", "de"}
        for locale in texts:
            assert LONGEST_LINK in render_survey(book, channel, locale, link=LONGEST_LINK).body
    assert survey_locale(book.survey, "sms", "de-AT", "en") == "de"
    assert survey_locale(book.survey, "sms", "fr", "en") == "en"
