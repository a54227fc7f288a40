"""Whom a playbook may leave untold: nobody where its category or purpose forbids it, whatever anybody has set."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from tellfirst.measurement.assignment import Holdouts
from tellfirst.playbooks.holdouts import holdouts_of, phase_findings
from tellfirst.playbooks.schema import NO_HOLDOUT, Playbook
from tests.playbooks.make import content, playbook


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


PHASED = {"window": "P1D", "holdout": 0, "phased": True, "phase": "PT5M"}


def phased(**changed: object) -> Playbook:
    book = content()
    top = {name: changed.pop(name) for name in list(changed) if name in book}
    return playbook({**book, **top, "measure": {**PHASED, **changed}})


def test_a_phased_playbook_holds_nobody_out_and_delays_by_chance() -> None:
    assert holdouts_of(phased(phases=3), 0.05) == Holdouts(everywhere=0.05, phases=3, phase=timedelta(minutes=5))
    assert list(phase_findings(phased(phases=3))) == list(phase_findings(playbook())) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"holdout": 0.1}, "has a hold-out of 0"),
        ({"phase": None}, "needs 'phase'"),
        ({"phased": False}, "only then it has one"),
        ({"category": "security"}, "nobody may be told later"),
    ],
)
def test_what_cannot_be_phased_is_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        phased(**changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"phase": "P2D"}, "between a minute and 'window'"), ({"phase": "PT1S"}, "between"), ({"phases": 6}, "too late")],
)
def test_phases_that_do_not_fit_are_found(changed: dict[str, object], words: str) -> None:
    late = {"phase": "PT12H"} if "phases" in changed else {}
    assert any(words in reason for _, reason, _ in phase_findings(phased(**{**late, **changed})))
