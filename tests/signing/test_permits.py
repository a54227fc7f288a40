"""What a permit covers, and what it may cover at all."""

from datetime import timedelta
from pathlib import Path

import pytest

from tellfirst.playbooks.loader import LIBRARY, parse
from tellfirst.playbooks.schema import Playbook
from tellfirst.signing.kinds import Permit, Proposal
from tellfirst.signing.permits import Used, oversteps, permit_rule, uncovered
from tests.signing.make import NOON, proposal

PLAYBOOK: Playbook = parse(Path(LIBRARY / "cloud" / "service_disruption.toml").read_text(), "test").playbook
GIVEN = {
    "environment": "production",
    "decide_by": NOON,
    "valid_until": NOON + timedelta(days=30),
    "nonce": "n",
    "permit": "p-1",
    "playbook": "service_disruption",
    "playbook_version": "v1",
    "channels": ("sms", "email"),
    "per_outreach": 100,
    "in_all": 500,
}


def permit(**changed: object) -> Permit:
    return Permit.model_validate({**GIVEN, **changed})


def plan(count: int = 40, **changed: object) -> Proposal:
    bound = {"playbook": "service_disruption", "playbook_version": "v1", "channels": {"sms": count}}
    return proposal().model_copy(update={**bound, "audience_count": count, **changed})


def test_a_plan_inside_is_covered() -> None:
    assert uncovered(permit(), plan(), PLAYBOOK, Used(), NOON) == ""
    assert uncovered(permit(), plan(100), PLAYBOOK, Used(in_all=400), NOON) == ""
    assert uncovered(permit(), plan(40), PLAYBOOK, Used(in_all=60, in_outreach=60), NOON) == ""


@pytest.mark.parametrize(
    ("changed", "planned", "used", "why"),
    [
        ({"playbook_version": "v2"}, {}, {}, "permit p-1 is for another version of the playbook"),
        ({"environment": "staging"}, {}, {}, "permit p-1 is for another environment"),
        ({"valid_until": NOON - timedelta(seconds=1)}, {}, {}, "permit p-1 ended 01 Mar 2026, 11:59 UTC"),
        (
            {"valid_until": NOON + timedelta(hours=1)},
            {},
            {},
            "permit p-1 ends 01 Mar 2026, 13:00 UTC, before the last of these messages may leave",
        ),
        ({"channels": ("email",)}, {}, {}, "permit p-1 is not for sms"),
        ({}, {"count": 101}, {}, "permit p-1 covers 100 of one outreach, this needs 101"),
        ({}, {}, {"in_outreach": 61, "in_all": 61}, "permit p-1 covers 100 of one outreach, this needs 101"),
        ({}, {}, {"in_all": 488}, "permit p-1 has 12 left, this needs 40"),
        (
            {"per_outreach": 20_000, "in_all": 20_000},
            {"count": 10_001},
            {},
            "permit p-1 covers nothing above the tripwire of 10,000 recipients",
        ),
        ({}, {"canary": 1}, {}, "permit p-1 covers nothing that goes to the first few alone"),
        (
            {"currency": "EUR", "cost_micros": 9},
            {},
            {},
            "permit p-1 is limited in cost, and the cost of this is unknown",
        ),
        (
            {"currency": "EUR", "cost_micros": 5_000_000},
            {"cost_micros": 3_000_000, "currency": "EUR"},
            {"cost_micros": 2_500_000},
            "permit p-1 has 2.50 EUR left, this needs 3.00 EUR",
        ),
    ],
)
def test_a_plan_outside_is_not_and_the_reason_says_why(
    changed: dict[str, object], planned: dict[str, object], used: dict[str, int], why: str
) -> None:
    told = uncovered(permit(**changed), plan(**planned), PLAYBOOK, Used(**used), NOON)  # type: ignore[arg-type]
    assert told.startswith(why)


def test_a_permit_is_approved_one_level_up_and_not_by_its_proposer_or_editor() -> None:
    rule = permit_rule(PLAYBOOK, permit(proposer="pat", editor="eve"))
    assert rule.roles == ("Head of operations",)
    assert rule.excluded == {"pat", "eve"}
    silent = PLAYBOOK.model_copy(update={"approval": PLAYBOOK.approval.model_copy(update={"standing": None})})
    assert permit_rule(silent, permit()).roles == ()
    assert "lets nothing be permitted" in oversteps(permit(), silent)


@pytest.mark.parametrize(
    "changed",
    [
        {"per_outreach": 2_001, "in_all": 2_001},
        {"per_outreach": 0},
        {"in_all": 10_001},
        {"in_all": 99},
        {"channels": ()},
        {"channels": ("fax",)},
    ],
)
def test_a_permit_oversteps_its_playbook(changed: dict[str, object]) -> None:
    assert oversteps(permit(), PLAYBOOK) == ""
    assert oversteps(permit(**changed), PLAYBOOK)
