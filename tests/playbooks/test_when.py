"""A playbook says at which hours its messages leave, and not everything may ring at night."""

import pytest

from tellfirst.errors import PlaybookError
from tellfirst.playbooks.loader import parse
from tellfirst.policy.quiet import Hours, Timing
from tests.playbooks.make import TEXT

URGENT = TEXT.replace('urgency = "high"', 'urgency = "urgent"')
AWAKE = 'quiet_hours = "ignore"'


def with_when(when: str, text: str = TEXT) -> str:
    return f"{text}\n[when]\n{when}\n"


def timing(text: str) -> Timing:
    return parse(text, "late_train.toml").playbook.timing


def test_without_a_word_hours_are_kept() -> None:
    assert timing(TEXT) == Timing() == timing(with_when(""))


def test_low_engagement_is_a_stretch_of_local_time() -> None:
    text = with_when(
        'low_engagement = [{ days = ["fri"], from = "18:00", to = "07:30" }, { from = "12:00", to = "13:00" }]'
    )
    night, noon = timing(text).low_engagement
    assert night == Hours.model_validate({"days": ["fri"], "from": "18:00", "to": "07:30"})
    assert (night.from_, night.to, len(noon.days)) == (18 * 60, 7 * 60 + 30, 7)


def test_an_urgent_one_may_leave_at_night() -> None:
    assert timing(with_when(AWAKE, URGENT)) == Timing(ignores_hours=True)


@pytest.mark.parametrize("category", ["security", "fraud", "safety"])
def test_danger_wakes_also_whoever_asked_for_quiet(category: str) -> None:
    text = URGENT.replace('category = "operational"', f'category = "{category}"').replace(
        "holdout = 0.1", "holdout = 0"
    )
    assert timing(with_when(AWAKE, text)) == Timing(ignores_hours=True, ignores_customer=True)
    assert not timing(text).ignores_customer, "not unless it says so"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (with_when(AWAKE), "only an urgent playbook"),
        (with_when(AWAKE, URGENT.replace('purpose = "service"', 'purpose = "marketing"')), "none of marketing"),
        (with_when(AWAKE + '\nlow_engagement = [{ from = "12:00", to = "13:00" }]', URGENT), "drop low_engagement"),
        (with_when('low_engagement = [{ from = "00:00", to = "24:00" }]'), "leaves no hour"),
        (with_when('low_engagement = [{ from = "7:00", to = "08:00" }]'), "written like 09:30"),
        (with_when('low_engagement = [{ from = "08:00", to = "08:00" }]'), "are the same"),
        (with_when('low_engagement = [{ from = "08:00", to = "25:00" }]'), "1440"),
        (with_when('quiet = "keep"'), "correct its spelling"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PlaybookError) as refused:
        parse(text, "late_train.toml")
    assert reason in str(refused.value)
