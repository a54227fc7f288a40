"""Texts that are not what they look like: hidden characters, words turned round, addresses of other scripts."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from tellfirst.domain.condition import Condition, Subject
from tellfirst.errors import PlaybookError
from tellfirst.playbooks.addendum import compose
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.lint import lint
from tellfirst.playbooks.loader import parse
from tellfirst.playbooks.render import check_facts
from tellfirst.playbooks.schema import Addendum
from tests.figures import Told
from tests.playbooks.make import TEXT, content, field, playbook

HIDDEN = [
    "\x1b[31m", "\x07", "\x7f", "\x9b2J", "\x85", "\u202e", "\u202a", "\u202d", "\u2066", "\u2069", "\u2028", "\u2029",
    "\u200b", "\u2060", "\u2063", "\ufeff", "\ufff9", "\U000e0041",
]  # fmt: skip
ADDRESSES = [
    "https://p\u0430ypal.example/x",  # a Cyrillic letter
    "www.\u0261oogle.example",
    "p\u0430ypal.com",
    "https://shop.example\u2044login.evil.example/",  # a slash that is none
    "https://shop\uff0eexample",
    "https://shop.example/\u00adx",
    "https://sh\u200dop.example",
    "https://shop.example@evil.example/",
    "https://shop.example:pass@evil.example",
]
PLACES: dict[str, tuple[str | int, ...]] = {
    "a part": ("steps", 0, "messages", "sms", "en", "doing"),
    "a subject": ("steps", 0, "messages", "email", "en", "subject"),
    "the title": ("title",),
    "an owner": ("owners", "owner"),
    "a role": ("owners", "approvers", 0),
    "a point of the checklist": ("checklist", "tone"),
    "a description": ("data", "train", "description"),
}


def changed(path: tuple[str | int, ...], more: str) -> Any:
    """Returns a playbook whose text at a path says something more."""
    data = content()
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = f"{place[path[-1]]} {more} too"
    return playbook(data)


@pytest.mark.parametrize("place", PLACES)
def test_a_playbook_hides_nothing(place: str, told: Told) -> None:
    codes = []
    for more in [*HIDDEN, *ADDRESSES]:
        findings = [
            one
            for one in lint(changed(PLACES[place], more))
            if "nobody sees" in one.reason or "web address" in one.reason
        ]
        codes.append("linted" if findings else "")
        assert all(one.reason.isprintable() for one in findings), "the finding itself hides nothing"
    told(f"hidden characters and addresses in {place}", codes)


@pytest.mark.parametrize(
    "text",
    [
        "See https://shop.example/o?id={{ train }}&mail=a@b.example.",
        "Schön, z. B. morgen. Über die Straße.",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, written with a joiner
        "Für \U0001f468\u200d\U0001f469\u200d\U0001f467",
        "12\u00a0000\u202f€",
        "https://xn--bcher-kva.example/",
    ],
)
def test_what_people_write_is_taken(text: str) -> None:
    assert lint(changed(PLACES["a subject"], text)) == []


def test_neither_an_escape_of_toml_nor_a_correction_is_a_way_around() -> None:
    evil = TEXT.replace("We are finding you a seat.", "We are \\u202efinding you a seat.", 1)
    assert evil != TEXT
    with pytest.raises(PlaybookError, match=r"nobody sees \(U\+202E\)"):
        parse(evil, "evil.toml")
    parts = ("know", "doing", "now", "next", "human", "why", "out")
    correction = "[messages.sms.en]\n" + "".join(f'{part} = "Please wait, your train\u200b runs."\n' for part in parts)
    addendum = Addendum(version="0" * 64, step="initial", by="ana", reason="it was wrong")
    with pytest.raises(PlaybookError, match=r"nobody sees \(U\+200B\)"):
        compose(parse(TEXT, "train.toml"), correction, addendum, "correction-1", "correction.toml")


@pytest.mark.parametrize("type_", ["text", "url", "money", "date", "datetime"])
def test_a_fact_that_hides_something_is_refused_by_name(type_: str, told: Told) -> None:
    data = content()
    data["data"]["evil"] = field(type_, max_length=200)
    plain = {
        "text": "T1", "url": "https://shop.example/", "money": "12.50 EUR", "date": "2026-11-24",
        "datetime": "2026-11-24T18:00:00Z",
    }[type_]  # fmt: skip
    made, codes = playbook(data), []
    check_facts(made, {"train": "T1", "evil": plain})
    for more in [*HIDDEN, "\n", "\t", "\r", "\0", *(ADDRESSES if type_ == "url" else [])]:
        with pytest.raises(RenderError) as refused:
            check_facts(made, {"train": "T1", "evil": more if more in ADDRESSES else f"{plain}{more}"})
        codes.append("" if more in str(refused.value) else "refused")
    told(f"hidden characters in a fact of type {type_}", codes)


def test_no_key_hides_anything_in_an_id(told: Told) -> None:
    codes = []
    for more in [*HIDDEN[:-2], "\n", "/", " ", "\u00a0", "\u200d"]:
        with pytest.raises(ValidationError):
            Condition(
                trigger="late_train",
                key=f"k{more}1",
                detected_at=datetime(2026, 3, 1, tzinfo=UTC),
                subjects=(Subject(key="o", customer="c"),),
            )
        codes.append("refused")
    told("hidden characters in a key", codes)
