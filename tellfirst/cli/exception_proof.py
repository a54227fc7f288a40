"""The proof of answers to exceptions: each rests on grants of its own, not on the plan's approval."""

from collections.abc import Callable

from tellfirst.cli.wiring import Installation
from tellfirst.contract import exception_id
from tellfirst.playbooks.loader import parse
from tellfirst.policy.exceptions import Asked, grant_rule
from tellfirst.signing.decisions import CLOCK_SKEW, holding
from tellfirst.signing.kinds import Grant
from tellfirst.signing.registry import Registry
from tellfirst.store.audit import AuditedSend

ANSWER = exception_id("")
"""How the step of an answer begins."""


def answer_authorised(here: Installation, registry: Callable[[], Registry], send: AuditedSend) -> bool:
    """Says whether enough people had granted this customer these very words when the answer left."""
    matter, record = here.matters.get(send.step), here.exceptions.get(send.step.removeprefix(ANSWER))
    at = send.intent_at
    if matter is None or record is None or at is None or not isinstance(matter.proposal, Grant):
        return False
    grant = matter.proposal
    revision = here.outreaches.revision(send.outreach, record.revision)
    if revision is None or (grant.about, grant.outreach) != (send.step, send.outreach):
        return False
    if send.customer != grant.customer and not here.erasure.forgot(send.customer):
        return False
    loaded = parse(revision.playbook_text, "the planned playbook")
    boundaries = {str(kind): boundary for kind, boundary in loaded.playbook.exceptions.items()}
    asked = Asked(
        kind=grant.exception, amount_minor=grant.amount_minor, currency=grant.currency, requester=grant.requester
    )
    rule = grant_rule(asked, boundaries[grant.exception]) if grant.exception in boundaries else None
    if rule is None or loaded.version != revision.proposal.playbook_version:
        return False
    in_time = [d for d in here.decisions.approvals(send.step) if d.received_at <= at + CLOCK_SKEW]
    places, _, _ = holding(in_time, grant, rule, registry(), here.settings.environment, at)
    said = send.body_digest in ("", grant.answer_digest)
    return said and send.nonce == grant.nonce and len(places) >= rule.needed
