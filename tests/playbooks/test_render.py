from datetime import UTC, datetime
from typing import Any

import pytest

from tellfirst.domain.condition import Facts
from tellfirst.domain.message import Rendered
from tellfirst.errors import NotFoundError, PlaybookError, TellfirstError
from tellfirst.playbooks.fields import Reader, parse_fact
from tellfirst.playbooks.render import (
    RenderError,
    check_facts,
    choose_locale,
    compile_step,
    sample_facts,
    template_digests,
)
from tellfirst.playbooks.schema import DataField
from tests.playbooks.make import content, field, playbook

PROMISE = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)


def one_field(declared: dict[str, object], locale: str = "en") -> dict[str, Any]:
    data = content()
    data["data"]["x"] = declared
    for channel in data["steps"][0]["messages"].values():
        channel[locale] = channel["en"] | {"doing": "[{{ x }}]"}
    return data


def shown(declared: dict[str, object], value: object, *, locale: str = "en", zone: str = "UTC") -> str:
    template = compile_step(playbook(one_field(declared, locale)), "initial", "sms", locale)
    facts: dict[str, Any] = {"train": "T", "x": value}
    body = template.render(facts, promise=PROMISE, zone=zone, others=0).body
    return body.split("[")[1].split("]")[0]


def test_an_sms_is_its_parts_in_order_folded_to_one_line() -> None:
    data = content()
    data["steps"][0]["messages"]["sms"]["en"] |= {"doing": "We’re  finding\nyou a seat…", "why": "You booked – today."}
    template = compile_step(playbook(data), "initial", "sms", "en")
    assert template.render({"train": "IC 5"}, promise=PROMISE, zone="UTC", others=0) == Rendered(
        body="Your train IC 5 is late. We're finding you a seat... You don't need to do anything. "
        "You hear from us by Tuesday 24 November, 18:00 UTC. Reply to reach a person. "
        "You booked - today. Reply STOP to stop."
    )


def test_an_email_has_a_subject_and_paragraphs_and_drops_empty_ones() -> None:
    data = content()
    data["steps"][0]["messages"]["email"]["en"] |= {
        "doing": "{% if first_name %}Hi.{% endif %}",
        "why": "One.\n\nTwo\nlines.",
    }
    template = compile_step(playbook(data), "initial", "email", "en")
    assert template.render({"train": "IC 5"}, promise=PROMISE, zone="Europe/Berlin", others=0) == Rendered(
        subject="Train IC 5",
        body="Your train IC 5 is late.\n\nYou don't need to do anything.\n\n"
        "You hear from us by Tuesday 24 November, 19:00 CET.\n\nAnswer to reach a person.\n\n"
        "One.\n\nTwo lines.\n\nAnswer STOP to stop.",
    )


def test_others_are_counted_for_the_customer() -> None:
    data = content()
    data["steps"][0]["messages"]["sms"]["en"]["doing"] = (
        "{% if others > 1 %}And {{ others }} more.{% else %}Alone.{% endif %}"
    )
    template = compile_step(playbook(data), "initial", "sms", "en")
    assert "And 3 more." in template.render({"train": "T"}, promise=PROMISE, zone="UTC", others=3).body
    assert "Alone." in template.render({"train": "T"}, promise=PROMISE, zone="UTC", others=0).body
    with pytest.raises(RenderError):
        template.render({"train": "T"}, promise=PROMISE, zone="UTC", others=-1)


@pytest.mark.parametrize(
    ("locale", "zone", "text"),
    [
        ("en", "UTC", "Tuesday 24 November, 18:00 UTC"),
        ("en", "Europe/Berlin", "Tuesday 24 November, 19:00 CET"),
        ("en", "Asia/Kathmandu", "Tuesday 24 November, 23:45 GMT+05:45"),
        ("en_US", "America/New_York", "Tuesday, November 24, 13:00 EST"),
        ("de", "Europe/Berlin", "Dienstag, 24. November, 19:00 MEZ"),
        ("de", "Asia/Tokyo", "Mittwoch, 25. November, 03:00 JST"),
        ("fr", "Europe/Paris", "mardi 24 novembre, 19:00 CET"),
    ],
)
def test_an_instant_is_written_for_its_reader_and_always_with_its_zone(locale: str, zone: str, text: str) -> None:
    assert shown(field("datetime"), "2026-11-24T18:00:00Z", locale=locale, zone=zone) == text


@pytest.mark.parametrize(
    ("declared", "value", "locale", "text"),
    [
        (field("text"), "{{ train }} <b>", "en", "{{ train }} <b>"),
        (field("integer"), 12, "en", "12"),
        (field("date"), "2026-11-24", "en", "24 November 2026"),
        (field("date"), "2026-11-24", "de", "24. November 2026"),
        (field("date"), "2026-11-24T23:30:00-05:00", "en", "25 November 2026"),
        (field("datetime"), "2026-11-24 18:00:00", "en", "Tuesday 24 November, 18:00 UTC"),
        (field("money"), "1234.50 EUR", "en", "€1,234.50"),
        (field("money"), "1234.50 EUR", "de", "1.234,50 €"),
        (field("money"), "500 JPY", "en", "JP¥500"),
        (field("url"), "https://example.com/a?b=c", "en", "https://example.com/a?b=c"),
        (field("text", required=False), None, "en", ""),
    ],
)
def test_a_fact_is_written_by_its_type(declared: dict[str, object], value: object, locale: str, text: str) -> None:
    assert shown(declared, value, locale=locale) == text


@pytest.mark.parametrize(
    ("declared", "value", "problem"),
    [
        (field("text"), None, "is missing"),
        (field("text"), "  ", "is missing"),
        (field("date"), None, "is missing"),
        (field("integer"), None, "is missing"),
        (field("text"), 7, "is not text"),
        (field("text", max_length=3), "secret", "is longer than 3"),
        (field("text"), "secret\nline", "control character"),
        (field("text"), "secret\u202e", "control character"),
        (field("integer"), "7", "is not an integer"),
        (field("integer"), True, "is not an integer"),
        (field("integer", minimum=1), 0, "below its minimum 1"),
        (field("integer", maximum=9), 10, "above its maximum 9"),
        (field("integer", max_length=3), 12345, "is longer than 3"),
        (field("date"), "24.11.2026", "is not a date"),
        (field("date"), 20261124, "is not text"),
        (field("datetime"), "2026-11-24", "is not a datetime"),
        (field("datetime"), "9999-12-31T23:59:59Z", "is not a datetime"),
        (field("money"), "12.50", "is not a money"),
        (field("money"), "12.505 EUR", "is not a money"),
        (field("money"), "12.50 XQQ", "is not a money"),
        (field("money", maximum=10), "12.50 EUR", "above its maximum 10"),
        (field("url"), "http://example.com", "is not an https address"),
        (field("url"), "https://", "is not an https address"),
        (field("url"), "https://[secret", "is not an https address"),
        (field("url"), "https://secret:word@example.com", "is not an https address"),
        (field("url"), "https://exämple.com", "is not an https address"),
    ],
)
def test_a_wrong_fact_is_refused_by_name_and_never_by_value(
    declared: dict[str, object], value: Any, problem: str
) -> None:
    made = playbook(one_field(declared))
    facts = {"train": "T", "x": value}
    with pytest.raises(RenderError, match="'x'.*" + problem) as rendering:
        compile_step(made, "initial", "sms", "en").render(facts, promise=PROMISE, zone="UTC", others=0)
    with pytest.raises(RenderError, match="'x'.*" + problem) as checking:
        check_facts(made, facts)
    for error in (rendering.value, checking.value):
        assert isinstance(error, TellfirstError)
        assert error.field == "x"
        assert "secret" not in str(error)
        assert error.__cause__ is None
        assert error.__context__ is None


def test_a_field_that_this_message_does_not_use_is_checked_too() -> None:
    data = content()
    data["data"]["x"] = field("date")
    template = compile_step(playbook(data), "initial", "sms", "en")
    with pytest.raises(RenderError, match="'x'"):
        template.render({"train": "T", "x": "soon"}, promise=PROMISE, zone="UTC", others=0)


def test_an_undeclared_fact_reaches_no_template() -> None:
    data = content()
    data["steps"][0]["messages"]["sms"]["en"]["doing"] = "{{ secret }}"
    template = compile_step(playbook(data), "initial", "sms", "en")
    with pytest.raises(RenderError, match="'secret' has no value"):
        template.render({"train": "T", "secret": "s"}, promise=PROMISE, zone="UTC", others=0)


def test_a_missing_or_naive_promise_and_an_unknown_zone_are_refused() -> None:
    template = compile_step(playbook(), "initial", "sms", "en")
    with pytest.raises(RenderError, match="'promise' has no value"):
        template.render({"train": "T"}, promise=None, zone="UTC", others=0)
    with pytest.raises(RenderError, match="'promise' has no time zone"):
        template.render({"train": "T"}, promise=PROMISE.replace(tzinfo=None), zone="UTC", others=0)
    for zone in ("Mars/Olympus", "", "../etc/passwd"):
        with pytest.raises(RenderError, match="'zone' is not a known time zone"):
            template.render({"train": "T"}, promise=PROMISE, zone=zone, others=0)


def test_the_same_value_in_another_zone_is_not_taken_from_the_cache() -> None:
    template = compile_step(playbook(), "initial", "sms", "en")
    facts: Facts = {"train": "T"}
    texts = [template.render(facts, promise=PROMISE, zone=z, others=0).body for z in ("UTC", "Asia/Tokyo", "UTC")]
    assert "18:00 UTC" in texts[0]
    assert "Wednesday 25 November, 03:00 JST" in texts[1]
    assert texts[0] == texts[2]


def test_a_fact_in_another_zone_is_not_taken_from_the_cache_either() -> None:
    template = compile_step(playbook(one_field(field("datetime"))), "initial", "sms", "en")
    facts: Facts = {"train": "T", "x": "2026-11-24T18:00:00Z"}
    texts = [template.render(facts, promise=PROMISE, zone=z, others=0).body for z in ("UTC", "Asia/Tokyo")]
    assert "[Tuesday 24 November, 18:00 UTC]" in texts[0]
    assert "[Wednesday 25 November, 03:00 JST]" in texts[1]


def test_the_cache_of_written_values_is_bounded() -> None:
    reader = Reader({"x": DataField.model_validate(field("money"))}, "en", ["x"])
    for amount in range(5_000):
        reader.namespace({"x": f"{amount} EUR"}, promise=None, zone="UTC", others=0)
    assert len(reader._formatted) <= 4_096


def test_an_sms_over_its_limit_does_not_leave() -> None:
    data = content()
    data["limits"] = {"sms_segments": 2}
    template = compile_step(playbook(data), "initial", "sms", "en")
    template.render({"train": "IC 5"}, promise=PROMISE, zone="UTC", others=0)
    with pytest.raises(RenderError, match="takes 3 SMS segments and 2 are allowed"):
        template.render({"train": "поезд"}, promise=PROMISE, zone="UTC", others=0)


@pytest.mark.parametrize(
    "source",
    [
        "{% include 'x' %}",
        "{% render 'x' %}",
        "{% for i in (1..1000000000) %}x{% endfor %}",
        "{% assign x = 1 %}",
        "{% capture x %}{% endcapture %}",
        "{{ 'now' | date: '%Y' }}",
        "{{ 'a' | append: 'b' }}",
        "{{ train",
        "{% if train %}",
        "{% endif %}",
    ],
)
def test_a_template_can_only_choose_and_fill(source: str) -> None:
    data = content()
    data["steps"][0]["messages"]["sms"]["en"]["doing"] = source
    with pytest.raises(PlaybookError, match=r"late_train, step initial, sms\.en"):
        compile_step(playbook(data), "initial", "sms", "en")


def test_one_part_cannot_close_what_another_opens() -> None:
    data = content()
    data["steps"][0]["messages"]["sms"]["en"] |= {"doing": "{% if train %}a", "now": "b{% endif %}"}
    with pytest.raises(PlaybookError):
        compile_step(playbook(data), "initial", "sms", "en")


def test_the_output_is_bounded() -> None:
    data = content()
    data["data"]["x"] = field("text", max_length=500)
    data["steps"][0]["messages"]["email"]["en"]["doing"] = "{{ x }}" * 100
    template = compile_step(playbook(data), "initial", "email", "en")
    with pytest.raises(RenderError, match="cannot be rendered"):
        template.render({"train": "T", "x": "y" * 500}, promise=PROMISE, zone="UTC", others=0)


def test_a_locale_falls_back_to_its_language_and_then_to_the_default() -> None:
    data = content()
    sms = data["steps"][0]["messages"]["sms"]
    sms["de"] = sms["pt_BR"] = sms["en"]
    step = playbook(data).initial
    wanted = {"de": "de", "de_AT": "de", "de-AT": "de", "pt_BR": "pt_BR", "pt": "en", "ja": "en", "": "en"}
    assert {locale: choose_locale(step, "sms", locale, "en") for locale in wanted} == wanted
    assert choose_locale(step, "in_app", "en", "en") is None
    assert choose_locale(step, "sms", "ja", "fr") is None
    assert compile_step(playbook(data), "initial", "sms", "de-AT").locale == "de"


def test_a_step_or_channel_that_does_not_exist_is_named() -> None:
    with pytest.raises(NotFoundError, match="no step 'update-9'"):
        compile_step(playbook(), "update-9", "sms", "en")
    with pytest.raises(NotFoundError, match="no message on in_app"):
        compile_step(playbook(), "initial", "in_app", "en")
    with pytest.raises(NotFoundError, match="no step 'update-9'"):
        template_digests(playbook(), "update-9")


def test_a_digest_changes_with_its_message_and_with_no_other() -> None:
    before = template_digests(playbook(), "initial")
    assert set(before) == {"sms.en", "email.en"}
    assert all(len(digest) == 64 for digest in before.values())
    data = content()
    data["steps"][0]["messages"]["sms"]["en"]["doing"] += " "
    after = template_digests(playbook(data), "initial")
    assert after["sms.en"] != before["sms.en"]
    assert after["email.en"] == before["email.en"]


@pytest.mark.parametrize("type_", ["text", "integer", "date", "datetime", "money", "url"])
def test_sample_facts_are_as_long_as_declared_and_pass_the_check(type_: str) -> None:
    data = content()
    data["data"]["x"] = field(type_, max_length=50, maximum=5_000)
    made = playbook(data)
    facts = sample_facts(made)
    check_facts(made, facts)
    if type_ in ("text", "url"):
        assert len(str(facts["x"])) == 50


def test_an_optional_field_is_read_as_absent() -> None:
    declared = DataField.model_validate(field("money", required=False))
    assert parse_fact("x", declared, None) is None
