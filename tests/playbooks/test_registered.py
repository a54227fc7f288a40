"""WhatsApp keeps our words: what is registered there, filled with our values, is what was approved."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.domain.message import Rendered
from tellfirst.playbooks.lint import lint
from tellfirst.playbooks.registered import Registered, is_plain, registered_findings
from tellfirst.playbooks.render import RenderError, compile_step, sample_facts
from tests.playbooks.make import content, field, playbook

PROMISE = datetime(2026, 11, 24, 18, tzinfo=UTC)
NEXT = ("{{ promise }}", "This is our last message about it.", "This is our last message about it.")


def on(channel: str, **changes: Any) -> dict[str, Any]:
    """Returns a playbook that also speaks on `channel`; `changes` are made to its opening message."""
    data = content()
    data["channels"] = [*data["channels"], channel]
    for step, next_ in zip(data["steps"], NEXT, strict=True):
        parts = {
            "know": "Your train {{ train }} is late.",
            "doing": "We are finding you a seat.",
            "now": "You don't need to do anything.",
            "next": f"You hear from us: {next_}",
            "human": "Write back to reach a person.",
            "why": "You booked it.",
            "out": "Write STOP to end these messages.",
        }
        if channel == "whatsapp":
            parts["template"] = f"late_train_{step['id'].replace('-', '_')}_en"
        step["messages"][channel] = {"en": parts}
    message = data["steps"][0]["messages"][channel]["en"]
    for name, value in changes.items():
        if value is None:
            del message[name]
        else:
            message[name] = value
    return data


def render(data: dict[str, Any], channel: str, **facts: Any) -> Rendered:
    template = compile_step(playbook(data), "initial", channel, "en")  # type: ignore[arg-type]
    return template.render({"train": "IC 5", **facts}, promise=PROMISE, zone="UTC", others=0)


def test_a_whatsapp_message_has_its_template_its_values_in_order_and_what_is_read() -> None:
    assert render(on("whatsapp", why="You booked {{ train }}."), "whatsapp") == Rendered(
        body="Your train IC 5 is late.\n\nWe are finding you a seat.\n\nYou don't need to do anything.\n\n"
        "You hear from us: Tuesday 24 November, 18:00 UTC\n\nWrite back to reach a person.\n\nYou booked IC 5.\n\n"
        "Write STOP to end these messages.",
        template="late_train_initial_en",
        variables=("IC 5", "Tuesday 24 November, 18:00 UTC", "IC 5"),
    )


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))), min_size=3, max_size=3))
def test_what_is_registered_with_the_values_in_its_places_is_what_is_read(values: list[str]) -> None:
    message = Registered(["Your train\n {{ a }} is  late.", "\n\nIt comes {{b}},\n\nsays {{ a }}. Bye."])
    given = dict(zip(("a", "b"), values, strict=False))
    if not all(" ".join(value.split()) for value in given.values()):
        with pytest.raises(RenderError):
            message.values(given)
        return
    variables, read = message.values(given), message.body
    for place, value in reversed(list(enumerate(variables, start=1))):
        before, mark, after = read.rpartition(f"{{{{{place}}}}}")
        assert mark
        read = before + value + after
    assert message.filled(variables) == read
    assert not any("\n" in value or "  " in value or not value for value in variables)  # WhatsApp refuses them


def test_a_place_without_a_value_is_named_and_its_value_is_not() -> None:
    with pytest.raises(RenderError, match="'train' has no value"):
        Registered(["Your train {{ train }}."]).values({})


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("Your {{ train }} is late.", True),
        ("Your {{train}} is late.", True),
        ("Braces } and { alone.", True),
        ("{% if train %}Late.{% endif %}", False),
        ("{{ train | upcase }}", False),
        ("{{ 'x' }}", False),
        ("{{- train -}}", False),
        ("{{ train.name }}", False),
        ("Broken {{ train", False),
    ],
)
def test_only_text_and_fields_can_be_registered(source: str, plain: bool) -> None:
    assert is_plain(source) is plain


WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("no template", "whatsapp", {"template": None}, "names no template"),
    ("a template elsewhere", "voice", {"template": "late_train"}, "names a template"),
    ("a condition", "whatsapp", {"doing": "{% if others > 0 %}More.{% else %}One.{% endif %}"}, "plain {{ field }}"),
    ("a filter", "whatsapp", {"know": "Your {{ train | upcase }} is late."}, "plain {{ field }}"),
    ("begins with a field", "whatsapp", {"know": "{{ train }} is your train and is late."}, "begins or ends"),
    ("ends with a field", "whatsapp", {"out": "Write STOP to end these messages about {{ train }}."}, "begins or ends"),
    ("side by side", "whatsapp", {"know": "Your train {{ train }} {{ train }} is late."}, "side by side"),
    ("no way out", "whatsapp", {"out": None}, "needs a way out on whatsapp"),
    ("too long", "whatsapp", {"doing": "We are finding you a seat. " * 40}, "WhatsApp takes 1024"),
    ("a subject", "whatsapp", {"subject": "Late"}, "has no place on whatsapp"),
    ("personal on WhatsApp", "whatsapp", {"doing": "Dear {{ first_name }}."}, "may not travel on whatsapp"),
    ("personal in a call", "voice", {"doing": "Dear {{ first_name }}."}, "may not travel on voice"),
    ("a web address", "voice", {"doing": "Look at https://trains.example/late."}, "web address"),
    ("a bare web address", "voice", {"doing": "Look at www.trains.example."}, "web address"),
    ("too long a call", "voice", {"doing": "We are finding you a seat. " * 40}, "and a call 900"),
]


@pytest.mark.parametrize(
    ("channel", "changes", "reason"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_what_cannot_be_registered_or_heard_is_found(channel: str, changes: dict[str, Any], reason: str) -> None:
    assert any(reason in finding.reason for finding in lint(playbook(on(channel, **changes))))


def test_sound_messages_have_no_finding() -> None:
    assert lint(playbook(on("whatsapp"))) == []
    assert lint(playbook(on("voice"))) == []


def test_too_many_fields_for_the_words_are_found() -> None:
    assert [reason for reason, _ in registered_findings(Registered(["On {{ a }} or {{ b }} or never."]))] == [
        "has too many fields for its words, which WhatsApp refuses"
    ]
    assert not list(registered_findings(Registered(["It is {{ a }} or {{ b }} or never."])))


def test_a_field_that_may_be_absent_has_no_place_in_a_template() -> None:
    data = on("whatsapp", why="You booked {{ seat }} there.")
    data["data"]["seat"] = field("text", required=False)
    assert any("has no value" in finding.reason for finding in lint(playbook(data)))


def test_a_call_in_a_language_without_words_for_its_keys_is_found() -> None:
    data = on("voice")
    data["steps"][0]["messages"]["voice"]["fr"] = data["steps"][0]["messages"]["voice"]["en"]
    findings = lint(playbook(data))
    assert [finding.key for finding in findings] == ["steps[0].messages.voice.fr"]
    assert "no words for its keys" in findings[0].reason


def test_the_longest_facts_are_tried() -> None:
    data = on("whatsapp", doing="We are finding you a seat in {{ place }} as soon as we can.")
    data["data"]["place"] = field("text", max_length=500)
    data["steps"][0]["messages"]["whatsapp"]["en"]["why"] = "You booked {{ place }} with us."
    assert len(str(sample_facts(playbook(data))["place"])) == 500
    assert any("WhatsApp takes 1024" in finding.reason for finding in lint(playbook(data)))
