"""Whether a message left under a standing permit that held then."""

from collections.abc import Callable
from datetime import datetime

from tellfirst.cli.wiring import Installation
from tellfirst.playbooks.loader import LoadedPlaybook
from tellfirst.signing.decisions import CLOCK_SKEW, holding
from tellfirst.signing.documents import digest
from tellfirst.signing.kinds import Permit
from tellfirst.signing.permits import oversteps, permit_rule, uncovered
from tellfirst.signing.registry import Registry
from tellfirst.store.outreaches import RevisionRecord


def permitted(
    here: Installation, registry: Callable[[], Registry], revision: RevisionRecord, loaded: LoadedPlaybook, at: datetime
) -> bool:
    """Returns whether a permit covered a revision at an instant: signed, not revoked by then, and never overdrawn."""
    use = here.permits.of(revision.outreach, revision.number)
    matter = None if use is None or use.reason else here.matters.get(use.permit)
    if (
        use is None
        or matter is None
        or not isinstance(matter.proposal, Permit)
        or matter.about != matter.proposal.about
    ):
        return False
    revoked = matter.status == "revoked" and matter.closed_at is not None and matter.closed_at < at - CLOCK_SKEW
    if revoked or matter.status not in ("approved", "revoked") or use.digest != digest(revision.proposal.document()):
        return False
    permit, playbook = matter.proposal, loaded.playbook
    rule = permit_rule(playbook, permit)
    in_time = [d for d in here.decisions.approvals(use.permit) if d.received_at <= at + CLOCK_SKEW]
    places, _, _ = holding(in_time, permit, rule, registry(), here.settings.environment, at)
    used = here.permits.used(use.permit, use)
    outside = oversteps(permit, playbook) or uncovered(permit, revision.proposal, playbook, used, at)
    return len(places) >= rule.needed and not outside
