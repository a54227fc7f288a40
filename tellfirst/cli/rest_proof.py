"""Whether a message to somebody behind the first few left under a word that let them be told."""

from collections.abc import Callable
from datetime import datetime

from tellfirst.cli.wiring import Installation
from tellfirst.contract import continue_id
from tellfirst.playbooks.loader import LoadedPlaybook
from tellfirst.signing.decisions import CLOCK_SKEW, holding
from tellfirst.signing.kinds import Continue
from tellfirst.signing.registry import Registry
from tellfirst.signing.rules import continue_rule
from tellfirst.store.outreaches import RevisionRecord


def continued(
    here: Installation, registry: Callable[[], Registry], revision: RevisionRecord, loaded: LoadedPlaybook, at: datetime
) -> bool:
    """Returns whether somebody who may had let those behind the first few of a revision be told by an instant."""
    about = continue_id(revision.outreach, revision.number)
    matter = here.matters.get(about)
    if matter is None or not isinstance(matter.proposal, Continue) or matter.proposal.about != about:
        return False
    if matter.proposal.audience_root != revision.proposal.audience_root:
        return False
    rule = continue_rule(loaded.playbook, revision.proposal)
    in_time = [d for d in here.decisions.approvals(about) if d.received_at <= at + CLOCK_SKEW]
    places, _, _ = holding(in_time, matter.proposal, rule, registry(), here.settings.environment, at)
    return len(places) >= rule.needed
