"""Types the parameters of a rule."""

import pytest

from tellfirst.detectors.parameters import resolve_parameters
from tellfirst.domain.condition import FactValue
from tellfirst.errors import InputError
from tellfirst.playbooks.schema import Parameter

DECLARED = {
    "threshold_hours": Parameter(type="integer", default=24, description="hours after the promise"),
    "region": Parameter(type="text", default=None, description="a region code"),
}


def test_defaults_stand_where_nothing_is_given() -> None:
    assert resolve_parameters(DECLARED, {}) == {"threshold_hours": 24, "region": None}


@pytest.mark.parametrize("given", ["72", " 72 ", "+72", 72])
def test_a_whole_number_may_come_as_text(given: FactValue) -> None:
    assert resolve_parameters(DECLARED, {"threshold_hours": given})["threshold_hours"] == 72


@pytest.mark.parametrize("given", ["", "soon", "7.5", "1e3", "١٢", True, None, 2**63, "9" * 19, "9" * 5_000])
def test_what_is_no_whole_number_is_refused(given: FactValue) -> None:
    with pytest.raises(InputError, match=r"'threshold_hours' must be a whole number.*hours after the promise"):
        resolve_parameters(DECLARED, {"threshold_hours": given})


@pytest.mark.parametrize("given", [5, True])
def test_text_must_be_text(given: FactValue) -> None:
    with pytest.raises(InputError, match="'region' must be text"):
        resolve_parameters(DECLARED, {"region": given})


def test_an_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="no parameter 'treshold'; its parameters: region, threshold_hours"):
        resolve_parameters(DECLARED, {"treshold": 1})


def test_what_was_resolved_resolves_to_itself() -> None:
    once = resolve_parameters(DECLARED, {"threshold_hours": "72"})
    assert resolve_parameters(DECLARED, once) == once
