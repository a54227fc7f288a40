"""Templates that would say more than their fields, or keep a worker busy: refused, or rendered within a bound."""

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from tellfirst.errors import PlaybookError
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.forms import LIMIT
from tellfirst.playbooks.lint import lint
from tellfirst.playbooks.render import compile_step
from tests.playbooks.make import content, field, playbook

PROMISE = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEEP = 3_000
CORPUS = [
    "{{ ''.__class__.__mro__ }}",
    "{{ train.__class__ }}",
    "{{ train['__class__'] }}",
    "{{ self }}{{ cycler }}{{ config }}{{ settings.secret }}",
    "{{ promise.__init__.__globals__ }}",
    "{{ first_name }}",
    "{{ train | map: '__class__' }}",
    "{{ train | where: 'x' }}",
    "{{ train | split: '' | join: train }}",
    "{{ train | replace: '', train }}",
    "{{ train | times: 1000000000 }}",
    "{{ train | slice: 0, 100000000 }}",
    "{{ others | plus: 1e308 | plus: 1e308 }}",
    "{{ others | plus: " + "9" * 100_000 + " }}",
    "{{ " + "9" * 100_000 + " }}",
    "{{ 1e999999999 }}",
    "{{ (1..1000000000) }}",
    "{{ (1..1000000000) | capitalize }}",
    "{% if (1..1000000000) contains 5 %}x{% endif %}",
    "{% if train contains train %}x{% endif %}" * 2_000,
    "{{ 'a' }}" * 20_000,
    "x" * 5_000_000,
    "{{ train" + " | upcase" * 20_000 + " }}",
    "{% if train %}" * DEEP + "x" + "{% endif %}" * DEEP,
    "{% unless train %}" * DEEP,
    "{% case train %}" + "{% when 'x' %}y" * 20_000 + "{% endcase %}",
    "{% if " + "(" * DEEP + "train" + ")" * DEEP + " %}x{% endif %}",
    "{% if " + "train and " * 20_000 + "train %}x{% endif %}",
    "{{ " + "train." * 20_000 + "train }}",
    "{{ train" + "[train" * DEEP + "]" * DEEP + " }}",
    "{{" * 50_000,
    "{%" * 50_000,
    "{% raw %}" * 50_000,
    "{% comment %}" * 50_000,
    "{% liquid\n" + "if train\n" * DEEP + " %}",
    "{% echo train %}",
    "{% tablerow i in (1..100000000) %}x{% endtablerow %}",
    "{% increment x %}{% cycle 'a', 'b' %}",
    "{% macro x %}{% endmacro %}{% call x %}",
    "{% extends '/etc/passwd' %}{% block x %}{% endblock %}",
    "{% include '../../../../etc/passwd' %}",
    "{{ train | date: '%10000000d' }}",
    "{{ train | default: train, allow_false: true }}",
]


FITTING = [source[:3_990] for source in CORPUS if len(source) > 4_000] + [
    "{% if train %}" * 130 + "x" + "{% endif %}" * 130,
    "{% if " + "(" * 1_900 + "train" + ")" * 1_900 + " %}x{% endif %}",
    "{{ train" + "[train" * 500 + "]" * 500 + " }}",
    "{{ train" + " | upcase" * 430 + " }}",
    "{{" * 990 + "}}" * 990,
    "}}" * 990 + "{{" * 990,
]
"""What is long is refused for its length alone: the same, as long as a part of a message may be."""


@pytest.mark.parametrize("source", CORPUS + FITTING, ids=lambda source: f"{source[:24]!r} of {len(source)}")
@pytest.mark.parametrize("place", ["body", "subject"])
def test_no_template_takes_long_or_says_more_than_it_may(source: str, place: str) -> None:
    data = content()
    # Nothing of the personal field is given: whatever appears would come from somewhere else.
    data["data"]["first_name"] = field("text", max_length=20, required=False)
    data["steps"][0]["messages"]["email"]["en"]["subject" if place == "subject" else "doing"] = source
    begun = time.process_time()
    try:
        said = rendered(data)
    except (PlaybookError, RenderError, ValidationError):
        said = ""
    assert time.process_time() - begun < 3.0
    assert len(said) <= 2 * LIMIT
    assert not any(word in said for word in ("class", "object at 0x", "root:", "globals"))


@pytest.mark.parametrize("source", CORPUS + FITTING, ids=lambda source: f"{source[:24]!r} of {len(source)}")
def test_the_linter_takes_no_time_either(source: str) -> None:
    data, begun = content(), time.process_time()
    data["steps"][0]["messages"]["email"]["en"]["doing"] = source
    with suppress(ValidationError):  # longer than a part may be
        assert all(finding.reason.isprintable() for finding in lint(playbook(data)))
    assert time.process_time() - begun < 4.0


def test_a_plain_one_is_rendered() -> None:
    data = content()
    data["steps"][0]["messages"]["email"]["en"]["doing"] = "{{ train }}!"
    assert "T1!" in rendered(data)


def rendered(data: dict[str, Any]) -> str:
    """Returns subject and body of the first mail, as it leaves."""
    said = compile_step(playbook(data), "initial", "email", "en").render(
        {"train": "T1"}, promise=PROMISE, zone="UTC", others=3
    )
    return said.subject + said.body
