"""The proof of questions: each rests on the library's signatures, and on an outreach that had closed before."""

from collections.abc import Callable

from tellfirst.cli.wiring import Installation
from tellfirst.contract import library_id
from tellfirst.playbooks.loader import parse
from tellfirst.signing.decisions import CLOCK_SKEW, holding
from tellfirst.signing.kinds import LibraryChange
from tellfirst.signing.registry import Registry
from tellfirst.signing.rules import library_rule
from tellfirst.store.audit import AuditedSend
from tellfirst.store.surveys import STEP

QUESTION = STEP
"""How the step of a question begins."""


def question_authorised(here: Installation, registry: Callable[[], Registry], send: AuditedSend) -> bool:
    """Says whether the customer was drawn to be asked, and the version that asked was live when the question left."""
    outreach, at = here.outreaches.get(send.outreach), send.intent_at
    revision = here.outreaches.revision(send.outreach, send.revision)
    if outreach is None or revision is None or at is None or not here.questions.was_drawn(send.id, send.customer):
        return False
    if outreach.ending != "measured" or outreach.closed_at is None or outreach.closed_at > at + CLOCK_SKEW:
        return False
    loaded = parse(revision.playbook_text, "the planned playbook")
    survey, version = loaded.playbook.survey, loaded.version
    if survey is None or (send.step, send.channel) not in {
        (STEP + survey.kind, channel) for channel in survey.channels
    }:
        return False
    if not send.nonce == version == revision.proposal.playbook_version:
        return False
    if not here.settings.demands_library:
        return True
    about = library_id(loaded.playbook.id, version)
    matter = here.matters.get(about)
    if matter is None or not isinstance(matter.proposal, LibraryChange):
        return False
    in_time = [d for d in here.decisions.approvals(about) if d.received_at <= at + CLOCK_SKEW]
    rule = library_rule(matter.proposal)
    places, _, _ = holding(in_time, matter.proposal, rule, registry(), here.settings.environment, at)
    return len(places) >= rule.needed
