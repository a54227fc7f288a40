"""Whether a correction or a free update went only to those who had received the step that it adds to."""

from collections.abc import Sequence

from tellfirst.cli.wiring import Installation
from tellfirst.store.audit import AuditedSend
from tellfirst.store.outreaches import RevisionRecord


def told_before(here: Installation, revision: RevisionRecord, left: Sequence[AuditedSend]) -> frozenset[str]:
    """Returns those customers of `left` whom a revision is for: of a correction, who received what it corrects."""
    customers = frozenset(send.customer for send in left)
    _, _, step = revision.proposal.addendum.partition("/")
    return here.audit.received(revision.outreach, step, sorted(customers)) if step else customers
