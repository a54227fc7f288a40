"""A plan is held against what was signed: its steps, its dates, and the instant that they count from."""

from datetime import UTC, datetime, timedelta

from tellfirst.domain.plan import Plan
from tellfirst.playbooks.loader import LIBRARY, load_library
from tellfirst.playbooks.promises import planned_steps
from tellfirst.signing.kinds import Proposal
from tellfirst.signing.plans import misstates_proposal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_where_nothing_is_promised_a_plan_does_not_count_from_another_instant() -> None:
    """Its only message would leave later than was signed."""
    whole = load_library([LIBRARY])["late_delivery"].playbook
    playbook = whole.model_copy(update={"steps": (whole.initial,)})
    decide_by = NOON + playbook.approval.expires_after
    signed = Proposal.model_construct(promises={}, decide_by=decide_by, canary=0)

    def misstated(planned_at: datetime) -> bool:
        steps = planned_steps(playbook, planned_at)
        return misstates_proposal(
            Plan.model_construct(planned_at=planned_at, steps=steps, decide_by=decide_by, canary=0), signed, playbook
        )

    assert not misstated(NOON)
    assert misstated(NOON + timedelta(days=3))
    assert misstated(NOON - timedelta(seconds=1))
