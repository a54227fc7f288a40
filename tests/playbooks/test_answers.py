"""What a granted customer is told: strict, in their language, inside the channel's limits."""

from typing import Any

import pytest

from tellfirst.errors import NotFoundError
from tellfirst.playbooks.answers import answer_findings, major, render_answer
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.lint import lint
from tellfirst.playbooks.loader import LIBRARY, load_library
from tests.playbooks.make import content, playbook


def with_exceptions(**changed: Any) -> dict[str, Any]:
    data = content()
    refund = {
        "currency": "EUR",
        "per_customer": 5_000,
        "per_outreach": 50_000,
        "roles": {"Duty manager": {"alone": 1_000, "with_second": 5_000}},
        "answers": {
            "sms": {"en": {"body": "You get {{ amount }}."}, "de": {"body": "Sie erhalten {{ amount }}."}},
            "email": {"en": {"subject": "{{ amount }} back", "body": "You get\n\n{{ amount }}, {{ reference }}."}},
        },
    }
    data["exceptions"] = {"refund": {**refund, **changed}}
    return data


def test_a_sound_one_has_no_findings() -> None:
    assert lint(playbook(with_exceptions())) == []


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        ({"currency": "XXQ"}, "exceptions.refund.currency", "not a known currency"),
        ({"answers": {"sms": {"en": {"body": "{{ amount }}"}}}}, "exceptions.refund.answers.email", "is missing"),
    ],
)
def test_what_is_wrong_is_found(change: dict[str, Any], key: str, reason: str) -> None:
    (finding,) = lint(playbook(with_exceptions(**change)))
    assert finding.key == key
    assert reason in finding.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ({"body": "{{ amount }} for {{ first_name }}"}, "uses 'first_name'"),
        ({"body": "You get something."}, "does not tell the amount"),
        ({"body": "{{ amount }", "subject": None}, "is refused"),
        ({"body": "{{ amount }}" + " x" * 400}, "SMS segments"),
        ({"body": "{{ amount }}" + "x" * 405 + "{{ reference }}"}, "SMS segments"),
        ({"body": "{{ amount }}", "subject": "No"}, "has a subject"),
    ],
)
def test_a_bad_text_is_found(text: dict[str, Any], reason: str) -> None:
    data = with_exceptions()
    data["exceptions"]["refund"]["answers"]["sms"]["en"] = text
    assert any(reason in finding.reason for finding in lint(playbook(data))), lint(playbook(data))


def test_it_is_written_in_the_customers_language() -> None:
    book = playbook(with_exceptions())
    told = render_answer(book, "refund", "sms", "de_DE", amount_minor=1_250, reference="r-1")
    assert told.body.startswith("Sie erhalten 12,50")
    assert render_answer(book, "refund", "sms", "fr", amount_minor=1_250, reference="r-1").body.startswith("You get")
    mail = render_answer(book, "refund", "email", "en", amount_minor=1_250, reference="r-1")
    assert mail.subject == "€12.50 back"
    assert mail.body.endswith("€12.50, r-1.")
    assert (str(major(1_250, "EUR")), str(major(1_250, "JPY"))) == ("12.50", "1250")


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(NotFoundError):
        render_answer(playbook(), "refund", "sms", "en", amount_minor=1, reference="r")
    data = with_exceptions()
    data["exceptions"]["refund"]["answers"]["sms"]["en"]["body"] = "{{ amount }} {{ reference }}"
    with pytest.raises(RenderError):
        render_answer(playbook(data), "refund", "sms", "en", amount_minor=1, reference="r" * 600)


def test_every_shipped_answer_renders() -> None:
    for loaded in load_library([LIBRARY]).values():
        assert loaded.playbook.exceptions
        for kind, boundary in loaded.playbook.exceptions.items():
            assert set(boundary.roles) <= set(loaded.playbook.owners.approvers)
            for channel, texts in boundary.answers.items():
                for locale in texts:
                    told = render_answer(
                        loaded.playbook, kind, channel, locale, amount_minor=boundary.most, reference="r"
                    )
                    assert told.body


def test_an_answer_on_whatsapp_is_in_registered_words() -> None:
    book = load_library([LIBRARY])["late_delivery"].playbook
    told = render_answer(book, "refund", "whatsapp", "de", amount_minor=1_250, reference="r-1")
    assert (told.template, told.variables) == ("late_delivery_refund_de", ("12,50 €", "r-1"))
    assert told.body.startswith("Wir erstatten Ihnen 12,50")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ({"body": "We refund {{ amount }} to you, as you asked."}, "names no template"),
        ({"template": "refund_en", "body": "We refund {{ amount | upcase }} to you now."}, "plain {{ field }}"),
        ({"template": "refund_en", "body": "{{ amount }} is what we refund to you now."}, "begins or ends"),
    ],
)
def test_an_answer_that_cannot_be_registered_is_found(text: dict[str, str], reason: str) -> None:
    data = with_exceptions()
    data["channels"] = [*data["channels"], "whatsapp"]
    data["exceptions"]["refund"]["answers"]["whatsapp"] = {"en": text}
    assert any(reason in found for _, found, _ in answer_findings(playbook(data)))
