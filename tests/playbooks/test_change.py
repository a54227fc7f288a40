"""What a new version changes."""

import pytest

from tellfirst.errors import PlaybookError
from tellfirst.playbooks.change import data_changed, difference, points
from tellfirst.playbooks.loader import parse
from tests.playbooks.make import TEXT, content, field, playbook

CHECKLIST = TEXT[TEXT.index("[checklist]") : TEXT.index("[detector]")]


def test_checklist_is_gone_through_point_by_point() -> None:
    assert points(playbook()) == (
        "facts: The times are the dispatcher's.",
        "tone: It was read aloud.",
        "exceptions: Missed connections are foreseen.",
        "replies: Passenger care answers.",
    )


def test_playbook_that_may_go_live_has_a_checklist() -> None:
    with pytest.raises(PlaybookError, match=r"may go live has a \[checklist\]"):
        parse(TEXT.replace(CHECKLIST, ""), "late_train.toml")
    test = parse('purpose_of_use = "test"\n' + TEXT.replace(CHECKLIST, ""), "late_train.toml").playbook
    assert (test.purpose_of_use, points(test)) == ("test", ())
    assert playbook().purpose_of_use == "live"


@pytest.mark.parametrize("point", ["facts", "tone", "exceptions", "replies"])
def test_no_point_of_the_checklist_is_blank_or_left_out(point: str) -> None:
    for broken in (f'{point} = " "', ""):
        lines = [broken if line.startswith(f"{point} = ") else line for line in CHECKLIST.splitlines()]
        with pytest.raises(PlaybookError, match=f"checklist.{point}"):
            parse(TEXT.replace(CHECKLIST, "\n".join(lines) + "\n"), "late_train.toml")


def test_change_of_data_is_seen() -> None:
    old = playbook()
    for change in (
        {"more": field("text")},
        {"train": {**content()["data"]["train"], "max_length": 21}},
        {"train": {**content()["data"]["train"], "class": "personal"}},
    ):
        data = content()
        data["channels"] = ["email"]
        for step in data["steps"]:
            step["messages"].pop("sms")
        data["data"] |= change
        assert data_changed(old, playbook(data))
    worded = content() | {"title": "Another title"}
    assert not data_changed(old, playbook(worded))
    assert data_changed(None, old)


def test_difference_of_two_texts() -> None:
    assert difference(TEXT, TEXT) == []
    lines = difference(TEXT, TEXT.replace("A train is late", "The train is late"))
    assert [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        '-title = "A train is late"',
        '+title = "The train is late"',
    ]
