"""The escalation ladder of a playbook: in order, and never without anybody on it."""

from datetime import timedelta

import pytest

from tellfirst.playbooks.lint import lint
from tests.playbooks.make import content, playbook

HOUR = timedelta(hours=1)


def test_a_playbook_without_a_ladder_climbs_from_its_owner_to_the_accountable() -> None:
    assert [(rung.to, rung.after) for rung in playbook().rungs] == [
        ("Operations", timedelta(0)),
        ("Head of service", HOUR),
    ]


def test_who_is_both_is_told_once() -> None:
    data = content()
    data["owners"]["accountable"] = "Operations"
    assert [rung.to for rung in playbook(data).rungs] == ["Operations"]


def test_a_ladder_is_climbed_as_it_is_written() -> None:
    data = content() | {"ladder": [{"to": "Desk"}, {"to": "Lead", "after": "PT30M"}, {"to": "Head", "after": "PT1H"}]}
    assert lint(playbook(data)) == []
    assert [(rung.to, rung.after) for rung in playbook(data).rungs] == [
        ("Desk", timedelta(0)),
        ("Lead", HOUR / 2),
        ("Head", HOUR),
    ]


@pytest.mark.parametrize(
    ("ladder", "key", "reason"),
    [
        ([{"to": "Desk", "after": "PT1M"}], "ladder[0].after", "keeps the first level waiting"),
        ([{"to": "Desk"}, {"to": "Lead"}], "ladder[1].after", "is not later than the level before"),
        (
            [{"to": "Desk"}, {"to": "Lead", "after": "PT1H"}, {"to": "Head", "after": "PT1H"}],
            "ladder[2].after",
            "is not later than the level before",
        ),
        ([{"to": " "}], "ladder[0].to", "is blank"),
    ],
)
def test_a_ladder_out_of_order_is_refused(ladder: list[dict[str, str]], key: str, reason: str) -> None:
    [finding] = lint(playbook(content() | {"ladder": ladder}))
    assert (finding.key, finding.reason) == (key, reason)
