"""The limits of harm: there without a word, within bounds, and none that can never be judged."""

from typing import Any

import pytest
from pydantic import ValidationError

from tellfirst.playbooks.harm import Harm
from tellfirst.playbooks.lint import lint
from tellfirst.playbooks.loader import LIBRARY, load_library
from tests.playbooks.make import content, playbook


def test_every_shipped_playbook_is_watched() -> None:
    for loaded in load_library([LIBRARY]).values():
        assert loaded.playbook.harm.opt_out <= 0.05


def test_what_is_not_said_holds_as_documented() -> None:
    made = playbook(content() | {"harm": {"opt_out": 0.02}}).harm
    assert made == Harm(opt_out=0.02, negative_tone=0.05, induced_contacts=0.0, team_load=60, step=0.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [("opt_out", 0), ("opt_out", 0.6), ("negative_tone", 5), ("induced_contacts", -0.1), ("team_load", 0), ("step", 0)],
)
def test_a_limit_that_limits_nothing_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        playbook(content() | {"harm": {key: value}})


def test_nothing_is_compared_where_nobody_may_be_held_out() -> None:
    given = content()
    given |= {"category": "security", "measure": given["measure"] | {"holdout": 0}}
    assert lint(playbook(given | {"harm": {"opt_out": 0.01}})) == []
    [finding] = lint(playbook(given | {"harm": {"induced_contacts": 0.01}}))
    assert finding.key == "harm.induced_contacts"
