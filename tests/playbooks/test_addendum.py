"""Addenda: what a short text becomes, what it may say, and what it can never change."""

import tomllib

import pytest

from tellfirst.errors import PlaybookError
from tellfirst.playbooks.addendum import adds_only_texts, compose
from tellfirst.playbooks.loader import LIBRARY, LoadedPlaybook, load_file, load_library, parse
from tellfirst.playbooks.schema import Addendum

TEXT = """
[messages.sms.en]
know = "Your order {{ order_id }} is not lost: what we wrote before was wrong, sorry."
doing = "We have corrected our records."
now = "You don't need to do anything."
next = "You hear from us as we promised."
human = "Reply to reach a person."
why = "We write because you ordered from us."
out = "Reply STOP to end these texts."
"""


@pytest.fixture(scope="module")
def library() -> dict[str, LoadedPlaybook]:
    return load_library([LIBRARY])


@pytest.fixture
def base(library: dict[str, LoadedPlaybook]) -> LoadedPlaybook:
    return library["late_delivery"]


def added(base: LoadedPlaybook, text: str = TEXT, step: str = "correction-1") -> LoadedPlaybook:
    addendum = Addendum(version=base.version, step="initial", by="pat", reason='the "depot" was\twrong')
    return compose(base, text, addendum, step, "text.toml")


def test_text_becomes_the_playbook_with_one_step(library: dict[str, LoadedPlaybook]) -> None:
    for base in library.values():
        text = TEXT.replace(" {{ order_id }}", "")
        correction = added(base, text)
        assert adds_only_texts(base.playbook, correction.playbook)
        step = correction.playbook.steps[0]
        assert (step.id, step.kind, list(step.messages)) == ("correction-1", "correction", ["sms"])
        assert correction.playbook.addendum is not None
        assert correction.playbook.addendum.reason == 'the "depot" was\twrong'
        written = tomllib.loads(correction.text)
        assert {k: v for k, v in written.items() if k not in ("steps", "addendum")} == {
            k: v for k, v in tomllib.loads(base.text).items() if k != "steps"
        }
        assert parse(correction.text, "kept").version == correction.version


def test_same_text_is_the_same_version_and_other_words_are_another(base: LoadedPlaybook) -> None:
    assert added(base).version == added(base).version
    assert added(base).version != added(base, TEXT.replace("sorry", "we are sorry")).version


@pytest.mark.parametrize(
    "change",
    [
        {"data": {}},
        {"purpose": "transactional"},
        {"channels": ("sms",)},
        {"reason_code": "other"},
        {"title": "Another"},
        {"addendum": None},
    ],
)
def test_whatever_else_differs_is_no_addendum(base: LoadedPlaybook, change: dict[str, object]) -> None:
    assert not adds_only_texts(base.playbook, added(base).playbook.model_copy(update=change))


def test_addendum_is_not_added_to_an_addendum(base: LoadedPlaybook) -> None:
    one = added(base).playbook
    assert not adds_only_texts(one, one)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "know =",
            "knows =",
            "text.toml: 'messages.sms.en.knows' is not a key of a playbook; correct its spelling or re",
        ),
        ('why = "We write because you ordered from us."\n', "", "text.toml: 'messages.sms.en.why' is missing; add it"),
        ('out = "Reply STOP to end these texts."\n', "", "text.toml: 'messages.sms.en.out' is missing, and purpose"),
        (
            "{{ order_id }}",
            "{{ first_name }}",
            "text.toml: 'messages.sms.en.know' uses the personal field 'first_name'",
        ),
        ("{{ order_id }}", "{{ depot }}", "text.toml: 'messages.sms.en.know' uses the undeclared field 'depot'"),
        ("You hear from us", "You hear by {{ promise }}", "text.toml: 'messages.sms.en.next' promises a next message"),
        ("sms.en", "sms.de", "text.toml: 'messages.sms.en' is missing although it is the default locale"),
        ("messages.sms.en", "message.sms.en", "text.toml: 'message' has no place here; give [messages.CHANNEL.LOCALE]"),
        ("[messages.sms.en]", "[owners]\n[messages.sms.en]", "text.toml: 'owners' has no place here; give"),
        ("[messages.sms.en]", "[messages.sms.en", "text.toml: is not TOML: "),
        (TEXT, "", "text.toml: 'messages' is missing; add it"),
        (
            "We have corrected our records.",
            "We have corrected our records. " * 20,
            "text.toml: 'messages.sms.en' takes",
        ),
        ("know = ", "know = 2026-11-22 #", "text.toml: 'messages.sms.en.know' is refused: input should be a valid str"),
    ],
)
def test_bad_text_is_told_in_one_sentence(base: LoadedPlaybook, old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(PlaybookError) as error:
        added(base, TEXT.replace(old, new))
    assert str(error.value).startswith(said)


def test_addendum_has_no_place_in_the_library(base: LoadedPlaybook, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("books") / "late_delivery.toml"
    path.write_text(added(base).text)
    with pytest.raises(PlaybookError, match="'addendum' has no place in a playbook"):
        load_file(path)


def test_step_that_nobody_planned_stands_in_no_playbook(base: LoadedPlaybook) -> None:
    text = base.text.replace('id = "initial"\nkind = "initial"', 'id = "correction-1"\nkind = "correction"')
    with pytest.raises(PlaybookError, match="is drafted for an outreach, and stands in no playbook"):
        parse(text, "test")


def test_planned_step_cannot_take_the_name_of_a_correction(base: LoadedPlaybook) -> None:
    with pytest.raises(PlaybookError, match="kept for addenda"):
        parse(base.text.replace('id = "update-1"', 'id = "correction-1"'), "test")
