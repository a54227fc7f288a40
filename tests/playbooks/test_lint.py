import re
from collections.abc import Callable
from typing import Any

import pytest

from tellfirst.playbooks.lint import lint
from tests.playbooks.make import content, field, playbook

Data = dict[str, Any]
Change = Callable[[Data], object]
SMS, EMAIL = "messages.sms.en", "messages.email.en"


def parts(data: Data, step: int = 0, channel: str = "sms", locale: str = "en") -> Data:
    found: Data = data["steps"][step]["messages"][channel][locale]
    return found


def put(value: str, name: str, step: int = 0, channel: str = "sms") -> Change:
    return lambda data: parts(data, step, channel).update({name: value})


def drop(name: str, step: int = 0, channel: str = "sms") -> Change:
    return lambda data: parts(data, step, channel).pop(name)


def top(key: str, value: object) -> Change:
    section, _, name = key.rpartition(".")
    return lambda data: (data[section] if section else data).update({name: value})


def at_step(step: int, **values: object) -> Change:
    return lambda data: data["steps"][step].update(values)


def declare(name: str, declared: dict[str, object]) -> Change:
    return lambda data: data["data"].update({name: declared})


def without_updates(data: Data) -> None:
    data["steps"] = data["steps"][:1]


def a_german_message(**changes: str) -> Change:
    german = {
        "know": "Ihr Zug {{ train }} kommt später.",
        "doing": "Wir suchen Ihnen einen Platz.",
        "now": "Sie müssen nichts tun.",
        "next": "Sie hören von uns bis {{ promise }}.",
        "human": "Antworten Sie hier.",
        "why": "Sie haben gebucht.",
        "out": "STOP beendet das.",
    }
    return lambda data: data["steps"][0]["messages"]["sms"].update({"de": german | changes})


BROKEN: list[tuple[str, Change, str, str]] = [
    ("blank part", put("  ", "why"), f"steps[0].{SMS}.why", "is blank"),
    ("blank without optional", put("{{ first_name }}", "doing", 0, "email"), f"steps[0].{EMAIL}.doing", "is blank"),
    ("blank without others", put("{% if others > 0 %}x{% endif %}", "doing"), f"steps[0].{SMS}.doing", "is blank"),
    ("broken liquid", put("{{ train", "doing"), f"steps[0].{SMS}.doing", "is not valid Liquid"),
    ("loop", put("{% for i in (1..9) %}x{% endfor %}", "doing"), f"steps[0].{SMS}.doing", "is not valid Liquid"),
    ("filter", put("{{ train | base64_encode }}", "doing"), f"steps[0].{SMS}.doing", "the filter 'base64_encode'"),
    ("inside of a value", put("{{ train.owner }}", "doing"), f"steps[0].{SMS}.doing", "cannot be rendered"),
    ("undeclared field", put("{{ seat }}", "doing"), f"steps[0].{SMS}.doing", "undeclared field 'seat'"),
    (
        "undeclared in if",
        put("{% if seat %}a{% endif %}b", "doing"),
        f"steps[0].{SMS}.doing",
        "undeclared field 'seat'",
    ),
    ("personal on sms", put("{{ first_name }}!", "doing"), f"steps[0].{SMS}.doing", "personal field 'first_name'"),
    (
        "personal only decides",
        put("{% if first_name %}a{% endif %}b", "doing"),
        f"steps[0].{SMS}.doing",
        "personal field 'first_name'",
    ),
    ("initial does not promise", put("Soon.", "next"), f"steps[0].{SMS}.next", "when the next planned update comes"),
    ("promise elsewhere", put("By {{ promise }}.", "doing", 1), f"steps[1].{SMS}.doing", "no planned update follows"),
    (
        "promise only sometimes",
        put("{% if others > 0 %}{{ promise }}{% else %}Soon.{% endif %}", "next"),
        f"steps[0].{SMS}.next",
        "when the next planned update comes",
    ),
    ("last update promises", put("By {{ promise }}.", "next", 1), f"steps[1].{SMS}.next", "no planned update follows"),
    ("resolved promises", put("By {{ promise }}.", "next", 2), f"steps[2].{SMS}.next", "no planned update follows"),
    ("company first", put("We are sorry.", "know"), f"steps[0].{SMS}.know", "opens with the company"),
    ("no action said", put("The seat is kept.", "now"), f"steps[0].{SMS}.now", "needs to do anything"),
    (
        "company first in German",
        a_german_message(know="Unser Zug kommt."),
        "steps[0].messages.sms.de.know",
        "opens with",
    ),
    ("no action in German", a_german_message(now="Der Platz ist da."), "steps[0].messages.sms.de.now", "needs to do"),
    ("too long", put("a" * 400, "doing"), f"steps[0].{SMS}", "SMS segments with the longest facts, and 3 are allowed"),
    ("no way out of sms", drop("out"), f"steps[0].{SMS}.out", "needs a way out on sms"),
    ("no way out of email", drop("out", 0, "email"), f"steps[0].{EMAIL}.out", "needs a way out on email"),
    ("email without subject", drop("subject", 0, "email"), f"steps[0].{EMAIL}.subject", "email needs one"),
    ("sms with subject", put("Late", "subject"), f"steps[0].{SMS}.subject", "has no place on sms"),
    (
        "unknown locale",
        lambda d: d["steps"][0]["messages"]["sms"].update(xx=parts(d)),
        "steps[0].messages.sms.xx",
        "known",
    ),
    (
        "malformed locale",
        lambda d: d["steps"][0]["messages"]["sms"].update({"": parts(d)}),
        "steps[0].messages.sms.",
        "known",
    ),
    (
        "channel without message",
        lambda d: d["steps"][2]["messages"].pop("email"),
        "steps[2].messages.email",
        "is missing",
    ),
    ("message without channel", top("channels", ["sms"]), "steps[*].messages.email", "does not list"),
    ("no default locale", top("default_locale", "de"), "steps[*].messages.*.de", "is the default locale"),
    ("group by undeclared", top("detector.group_by", ["seat"]), "detector.group_by[0]", "undeclared field 'seat'"),
    ("group by personal", top("detector.group_by", ["first_name"]), "detector.group_by[0]", "personal field"),
    ("blank owner", top("owners.owner", " "), "owners.owner", "is blank"),
    ("blank accountable", top("owners.accountable", " "), "owners.accountable", "is blank"),
    ("blank proposer", top("owners.proposers", ["Dispatch", " "]), "owners.proposers", "is blank"),
    ("late decision", top("approval.expires_after", "PT50M"), "approval.expires_after", "leaves the decision open"),
    ("no resolved", lambda d: d["steps"].pop(2), "steps", "no step of kind 'resolved'"),
    ("unknown zone", top("timezone", "Mars/Olympus"), "timezone", "is not a known time zone"),
    ("zero max_age", top("detector.max_age", "PT0S"), "detector.max_age", "is not longer than zero"),
    ("zero every", top("detector.every", "PT0S"), "detector.every", "is not longer than zero"),
    ("negative timeout", top("detector.timeout", "-PT1S"), "detector.timeout", "is not longer than zero"),
    ("negative hold_down", top("detector.hold_down", "-PT1S"), "detector.hold_down", "is negative"),
    ("zero window", top("measure.window", "PT0S"), "measure.window", "is not longer than zero"),
    (
        "zero watermark",
        top("measure.watermark_timeout", "PT0S"),
        "measure.watermark_timeout",
        "is not longer than zero",
    ),
    ("zero expires", at_step(0, expires="PT0S"), "steps[0].expires", "is not longer than zero"),
    ("negative lead", at_step(1, lead="-PT1M"), "steps[1].lead", "is negative"),
    ("built-in name", declare("others", field("text", required=False)), "data.others", "is a built-in name"),
    ("customer field", declare("nick", field("text", source="customer")), "data.nick", "only offers 'first_name'"),
    ("impossible bounds", declare("seats", field("integer", minimum=9, maximum=1)), "data.seats", "no value can keep"),
]


@pytest.mark.parametrize(("change", "key", "reason"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_each_rule_finds_what_it_is_for_and_nothing_else(change: Change, key: str, reason: str) -> None:
    data = content()
    change(data)
    findings = lint(playbook(data))
    assert findings
    for finding in findings:
        assert reason in finding.reason
        assert finding.remedy
        assert re.fullmatch(re.escape(key).replace(r"\*", ".+"), finding.key)


def test_the_sound_playbook_has_no_finding() -> None:
    assert lint(playbook()) == []
    data = content()
    a_german_message()(data)
    assert lint(playbook(data)) == []


def test_a_lead_as_long_as_the_wait_is_found() -> None:
    data = content()
    data["steps"][1]["lead"] = "PT1H"
    assert [finding.key for finding in lint(playbook(data))] == ["steps[1].lead", "approval.expires_after"]


def test_without_updates_there_is_nothing_to_promise_and_no_resolved_is_needed() -> None:
    data = content()
    without_updates(data)
    assert {finding.key for finding in lint(playbook(data))} == {f"steps[0].{SMS}.next", f"steps[0].{EMAIL}.next"}
    for channel in ("sms", "email"):
        parts(data, 0, channel)["next"] = "This is our only message."
    assert lint(playbook(data)) == []


def test_an_update_that_is_followed_by_another_must_promise_it() -> None:
    data = content()
    second = content()["steps"][1] | {"id": "update-2", "after": "PT2H"}
    data["steps"].insert(2, second)
    assert {finding.key for finding in lint(playbook(data))} == {f"steps[1].{SMS}.next", f"steps[1].{EMAIL}.next"}


def test_a_transactional_message_needs_no_way_out_and_a_marketing_one_does() -> None:
    data = content()
    for step in range(3):
        parts(data, step).pop("out")
    assert len(lint(playbook(data))) == 3
    data["purpose"] = "marketing"
    assert len(lint(playbook(data))) == 3
    data["purpose"] = "transactional"
    assert lint(playbook(data)) == []


def test_an_in_app_message_needs_a_subject_and_no_way_out() -> None:
    data = content()
    data["channels"] = ["sms", "email", "in_app"]
    for step in data["steps"]:
        step["messages"]["in_app"] = {"en": step["messages"]["sms"]["en"].copy()}
        step["messages"]["in_app"]["en"].pop("out")
    keys = [f"steps[{n}].messages.in_app.en.subject" for n in range(3)]
    assert [finding.key for finding in lint(playbook(data))] == keys


def test_a_decision_one_second_before_the_first_update_is_prepared_is_in_time() -> None:
    data = content()
    data["approval"]["expires_after"] = "PT49M59S"
    assert lint(playbook(data)) == []


@pytest.mark.parametrize(
    "opening",
    [
        "We regret",
        "We’re sorry",
        "Our train",
        "At Acme we",
        "Dear customer",
        "Hello valued guest",
        "Thank you for",
        "us",
    ],
)
def test_openings_that_speak_of_the_company_are_found(opening: str) -> None:
    data = content()
    parts(data)["know"] = f"{opening} and so on."
    assert [finding.key for finding in lint(playbook(data))] == [f"steps[0].{SMS}.know"]


@pytest.mark.parametrize(
    "opening", ["Your train", "At 18:00 your train", "Westbound trains", "Hello, your train", "Usually"]
)
def test_openings_that_speak_of_the_customer_are_not(opening: str) -> None:
    data = content()
    parts(data)["know"] = f"{opening} is late."
    assert lint(playbook(data)) == []


@pytest.mark.parametrize(
    "now",
    [
        "You don’t need to do anything.",
        "No action is needed.",
        "Please wait.",
        "You can rebook.",
        "There is nothing to do.",
    ],
)
def test_ways_to_say_what_to_do(now: str) -> None:
    data = content()
    parts(data)["now"] = now
    assert lint(playbook(data)) == []


def test_a_language_without_a_table_is_not_checked_for_wording_only() -> None:
    data = content()
    sms = data["steps"][0]["messages"]["sms"]
    sms["fr"] = sms["en"] | {"know": "Nous.", "now": "Rien.", "next": "Bientôt."}
    assert [finding.key for finding in lint(playbook(data))] == ["steps[0].messages.sms.fr.next"]
