"""The gate: every reason not to send, in one fixed order, judged on facts read now."""

from datetime import datetime

from tellfirst.domain.base import Frozen
from tellfirst.domain.plan import CORRECTION
from tellfirst.policy.consent import may_contact
from tellfirst.policy.hours import ALWAYS, Calendar
from tellfirst.policy.slots import slot
from tellfirst.policy.verdict import ALLOW, TOLD_BEFORE, Consent, Verdict, defer, halt, withhold


class PageFacts(Frozen):
    """Is what holds for a whole micro-batch, read in the transaction that commits its intents.

    `decision` is empty when a signed decision for exactly this page holds now, else the code of what is wrong;
    `library` likewise of the playbook's version.
    """

    now: datetime
    pause_all: bool
    paused: bool
    blocked: str
    channel_halted: str
    decision: str
    library: str
    not_after: datetime
    step_kind: str
    channel: str
    purpose: str
    not_before: datetime | None = None


class RowFacts(Frozen):
    """Is what holds for one recipient."""

    condition_holds: bool
    address: str | None
    address_usable: bool
    address_unchanged: bool
    content_unchanged: bool
    consents: tuple[Consent, ...]
    reserved: bool
    held: bool = False
    told_before: bool = False  # by a channel before this one, after all
    calendar: Calendar = ALWAYS


def judge_page(facts: PageFacts) -> Verdict:
    """Returns whether anything of this page may leave now."""
    if facts.pause_all:
        return halt("pause_all")
    if facts.paused:
        return halt("paused")
    if facts.blocked:
        return halt(facts.blocked)
    if facts.channel_halted:
        return halt(facts.channel_halted)
    if facts.decision:
        return halt(f"decision:{facts.decision}")
    if facts.library:
        return halt(facts.library)
    if facts.not_before is not None and facts.now < facts.not_before:
        return halt("too_early")
    return ALLOW


def judge_row(page: PageFacts, row: RowFacts) -> Verdict:
    """Returns whether this message may leave, assuming that its page may."""
    # Who was told wrongly is told so, whether or not it is over for them.
    if page.step_kind != CORRECTION and row.condition_holds == (page.step_kind == "resolved"):
        return withhold("condition_cleared" if page.step_kind != "resolved" else "condition_still_true")
    if page.now >= page.not_after:
        return withhold("too_late")
    if row.address is None or not row.address_usable:
        return withhold("address_gone")
    if not row.address_unchanged:
        return withhold("address_changed")
    if not row.content_unchanged:
        return withhold("content_changed")
    if not may_contact(row.consents, page.channel, page.purpose):
        return withhold("opted_out")
    if row.held:
        return withhold("held")
    if row.told_before:
        return withhold(TOLD_BEFORE)
    if not row.reserved:
        return withhold("frequency_cap")
    at = slot(row.calendar, page.now, not_after=page.not_after)
    if isinstance(at, str):
        return withhold(at)
    return ALLOW if at == page.now else defer(at)
