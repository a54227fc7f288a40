from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tellfirst.errors import PlaybookError
from tellfirst.playbooks.loader import load_file, load_library, parse
from tests.playbooks.make import TEXT


def refusal(text: str) -> str:
    with pytest.raises(PlaybookError) as refused:
        parse(text, "late_train.toml")
    assert refused.value.exit_code == 2
    assert refused.value.__cause__ is None
    return str(refused.value)


def test_a_sound_file_is_loaded_with_the_hash_of_its_text() -> None:
    loaded = parse(TEXT, "late_train.toml")
    assert loaded.playbook.id == "late_train"
    assert loaded.version == sha256(TEXT.encode()).hexdigest()
    assert loaded.text == TEXT


def test_line_endings_do_not_make_another_version() -> None:
    assert parse(TEXT.replace("\n", "\r\n"), "x") == parse(TEXT, "x")


def test_any_other_change_makes_another_version() -> None:
    assert parse(TEXT + "# a comment\n", "x").version != parse(TEXT, "x").version


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'id = "late_train"',
            "id = ",
            "late_train.toml: is not TOML: Invalid value (at line 2, column 6); correct the",
        ),
        ('title = "A train is late"', "", "late_train.toml: 'title' is missing; add it"),
        (
            'title = "A train',
            'colour = "red"\ntitle = "A train',
            "'colour' is not a key of a playbook; correct its spelling",
        ),
        (
            'purpose = "service"',
            'purpose = "sales"',
            "'purpose' is not 'transactional', 'service' or 'marketing'; use one",
        ),
        ('id = "late_train"', 'id = "Late Train"', "'id' has the wrong form; write it like ^[a-z]"),
        ('proposers = ["Dispatch"]', "proposers = []", "'owners.proposers' is empty; fill it in"),
        ('why = "You booked it."', 'why = ""', "'steps[0].messages.sms.en.why' is empty; fill it in (and "),
        (
            'next = "This is our last text about it."\n',
            "",
            "'steps[1].messages.sms.en.next' is missing; add it (and 1 more)",
        ),
        (
            "[steps.messages.sms.en]",
            "[steps.messages.smss.en]",
            "'steps[0].messages.smss' is not 'sms', 'whatsapp', 'voice', 'email', 'push', 'in_app' or 'person'",
        ),
        ('after = "PT1H"', "after = 1", "'steps[1].after' is refused: a duration is ISO 8601 text such as"),
        ('after = "PT1H"', 'after = "1:00"', "'steps[1].after' is refused: a duration is ISO 8601 text such as"),
        ('after = "PT1H"', 'after = "PT1Q"', "'steps[1].after' is refused: input should be a valid timedelta"),
        ('after = "PT1H"\n', "", "'steps[1]' is refused: step 'update-1': a step of kind 'update' needs 'after'"),
        (
            'id = "initial"',
            'id = "opening"',
            "'steps[0].id' is refused: a step of kind 'initial' has the id 'initial'; name",
        ),
        ('id = "resolved"', 'id = "closing"', "has the id 'resolved'; name it like id = \"resolved\""),
        (
            'id = "update-1"',
            'id = "resolved"',
            "'steps[1].id' is refused: this id is kept for the step of kind 'resolved'",
        ),
        (
            'kind = "initial"\n',
            'kind = "update"\nafter = "PT1H"\n',
            "kept for the step of kind 'initial'; name it like id = \"up",
        ),
        (
            'id = "initial"\nkind = "initial"',
            'id = "early"\nkind = "update"\nafter = "PT1M"',
            "the playbook is refused: the first step, and only the first",
        ),
        ('class = "personal"', 'class = "secret"', "'data.first_name.class' is not 'operational' or 'personal'"),
        ('category = "operational"', 'category = "recall"', "has a hold-out of 0"),
        (
            "We are finding",
            "{{ seat }}",
            "'steps[0].messages.sms.en.doing' uses the undeclared field 'seat'; declare it",
        ),
    ],
)
def test_an_error_names_file_key_reason_and_remedy_in_one_sentence(old: str, new: str, message: str) -> None:
    assert old in TEXT
    said = refusal(TEXT.replace(old, new))
    assert said.startswith("late_train.toml: ")
    assert message in said
    assert "; " in said
    assert "\n" not in said


def test_the_first_finding_is_told_and_the_others_are_counted() -> None:
    text = TEXT.replace("{{ promise }}", "tomorrow")
    assert refusal(text).endswith("(and 1 more)")
    assert "(and" not in refusal(TEXT.replace("{{ promise }}", "tomorrow", 1))


Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


def test_a_file_is_named_like_its_playbook(write: Write) -> None:
    assert load_file(write("late_train.toml", TEXT)).playbook.id == "late_train"
    other = write("other.toml", TEXT)
    with pytest.raises(PlaybookError, match=r"other\.toml: 'id' is 'late_train' but the file is named 'other'"):
        load_file(other)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match=r"missing\.toml: cannot be read: No such file"):
        load_file(tmp_path / "missing.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes("title = 'é'".encode("latin-1"))
    with pytest.raises(PlaybookError, match=r"latin\.toml: is not UTF-8 text"):
        load_file(latin)


def test_a_library_is_every_toml_file_below_its_folders(write: Write, tmp_path: Path) -> None:
    write("a/rail/late_train.toml", TEXT)
    write("b/early_train.toml", TEXT.replace('id = "late_train"', 'id = "early_train"'))
    write("b/notes.txt", "not a playbook")
    library = load_library([tmp_path / "a", tmp_path / "b"])
    assert {name: loaded.playbook.id for name, loaded in library.items()} == {
        "late_train": "late_train",
        "early_train": "early_train",
    }
    assert load_library([tmp_path / "a", tmp_path]) == library


def test_two_files_with_one_id_are_both_named(write: Write, tmp_path: Path) -> None:
    first, second = write("a/late_train.toml", TEXT), write("b/late_train.toml", TEXT)
    with pytest.raises(PlaybookError) as refused:
        load_library([tmp_path])
    assert str(first) in str(refused.value)
    assert str(second) in str(refused.value)


def test_one_bad_file_refuses_the_library_and_a_missing_folder_is_heard(write: Write, tmp_path: Path) -> None:
    write("late_train.toml", TEXT + "broken")
    with pytest.raises(PlaybookError, match=r"late_train\.toml: is not TOML"):
        load_library([tmp_path])
    with pytest.raises(PlaybookError, match="is not a folder"):
        load_library([tmp_path / "nowhere"])


def test_a_misspelt_key_is_told_before_the_one_it_leaves_missing() -> None:
    with pytest.raises(PlaybookError, match="'reasoncode' is not a key of a playbook; correct its spelling"):
        parse(TEXT.replace("reason_code =", "reasoncode ="), "late_train.toml")


def test_a_byte_order_mark_is_no_part_of_the_text(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "late_train.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert load_file(path).version == parse(TEXT, "late_train.toml").version
