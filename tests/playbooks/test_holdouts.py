"""Whom a playbook may leave untold: nobody where its category or purpose forbids it, whatever anybody has set."""

import pytest

from tellfirst.measurement.assignment import Holdouts
from tellfirst.playbooks.holdouts import holdouts_of
from tellfirst.playbooks.schema import NO_HOLDOUT, Playbook
from tests.playbooks.make import playbook


def test_an_operational_playbook_has_both_hold_outs() -> None:
    assert holdouts_of(playbook(), 0.05) == Holdouts(own=0.1, everywhere=0.05)


@pytest.mark.parametrize("category", sorted(NO_HOLDOUT))
def test_at_the_draw_too_nobody_is_left_untold_of_what_is_dangerous(category: str) -> None:
    wrong: Playbook = playbook().model_copy(update={"category": category})  # as no file can say it
    assert wrong.measure.holdout == 0.1
    assert holdouts_of(wrong, 0.05) == Holdouts(everyone=True)
    assert holdouts_of(wrong, 0.05).chance == 0


def test_what_is_owed_is_told_to_those_whom_all_outreaches_leave_out() -> None:
    owed = playbook().model_copy(update={"purpose": "transactional"})
    assert holdouts_of(owed, 0.05) == Holdouts(own=0.1)
