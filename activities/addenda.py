"""Addenda: a correction or a free update, drafted while its outreach runs, and whom it is for."""

from collections.abc import Mapping
from datetime import datetime

from temporalio import activity

from activities.beat import beat
from activities.clock import AttemptClock
from activities.failures import told_plainly
from activities.library import LibraryGate
from tellfirst.contract import Draft, DraftAnswer
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import personal_pattern
from tellfirst.domain.plan import CORRECTION
from tellfirst.domain.recipient import ELIGIBLE, Recipient
from tellfirst.errors import PlaybookError
from tellfirst.playbooks.addendum import compose
from tellfirst.playbooks.loader import LoadedPlaybook, parse
from tellfirst.playbooks.schema import Addendum, Playbook
from tellfirst.policy.consent import may_contact
from tellfirst.signing.audience import address_digest
from tellfirst.store.customers import Customer, Customers
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.receivers import Receivers
from tellfirst.store.recipients import Recipients


class DraftRequest(Frozen):
    """Asks to keep a draft as the `number`-th of an outreach; `ended` says that nothing of it leaves any more."""

    outreach: str
    draft: Draft
    number: int
    ended: bool = False


class AddendumActivities:
    """Judges drafts and keeps them; they are planned, decided and sent as further revisions."""

    def __init__(self, *, outreaches: Outreaches, receivers: Receivers, gate: LibraryGate) -> None:
        self._outreaches, self._receivers, self._gate = outreaches, receivers, gate

    @activity.defn(no_thread_cancel_exception=True)
    def keep_draft(self, request: DraftRequest) -> DraftAnswer:
        """Keeps the text of a draft under its version, or answers in a sentence why not."""
        with told_plainly():
            return self._keep(request, AttemptClock().now())

    def _keep(self, request: DraftRequest, now: datetime) -> DraftAnswer:
        outreach, draft = request.outreach, request.draft
        case = self._outreaches.get(outreach)
        if case is None or case.closed_at is not None or request.ended:
            return _refused("ended", "nothing leaves from this outreach any more; tell them by an outreach of its own")
        if personal_pattern(draft.note) or personal_pattern(draft.by):
            return _refused("personal", "the reason or the name looks like an address; it is kept in plain text")
        read_in = self._receivers.read_in(outreach, draft.step)
        if not read_in:
            known = ", ".join(self._receivers.steps(outreach)) or "nothing yet"
            return _refused("nobody_received", f"nobody received step '{draft.step}'; what was sent: {known}")
        base = self._base(outreach, draft.step)
        if refusal := self._gate.refusal(base.playbook, base.version, now=now):
            return _refused(refusal, "the version of the playbook that they were told by may not send any more")
        addendum = Addendum(version=base.version, step=draft.step, by=draft.by, reason=draft.note)
        try:
            loaded = compose(base, draft.text, addendum, f"{draft.kind}-{request.number}", "the text")
        except PlaybookError as error:
            return _refused("bad_text", str(error))
        messages = loaded.playbook.initial.messages
        if lacking := [f"{c}.{lo} ({n:,})" for (c, lo), n in read_in.items() if lo not in messages.get(c, {})]:
            return _refused("text_missing", f"they read it in {', '.join(lacking)}; write those messages too")
        for other in self._outreaches.pending(outreach):
            waiting = parse(other.playbook_text, "the planned playbook").playbook
            if waiting.addendum is not None and waiting.initial.messages == messages:
                return _refused("already_drafted", f"revision {other.number} says the same and waits for a decision")
        self._outreaches.keep_playbook(
            loaded.version, base.playbook.id, loaded.text, now=now, kind=draft.kind, by=draft.by
        )
        return DraftAnswer(
            accepted=True,
            step=loaded.playbook.initial.id,
            version=loaded.version,
            recipients=sum(read_in.values()),
        )

    def _base(self, outreach: str, step: str) -> LoadedPlaybook:
        """Returns the playbook that the last of a step's receivers were told by."""
        revision = self._outreaches.revision(outreach, self._receivers.revisions(outreach, step)[-1])
        assert revision is not None  # noqa: S101 - its messages were sent
        loaded = parse(revision.playbook_text, "the planned playbook")
        if loaded.playbook.addendum is None:
            return loaded
        text = self._outreaches.playbook_text(loaded.playbook.addendum.version)
        assert text is not None  # noqa: S101 - kept before anything was added to it
        return parse(text, "the planned playbook")


class ToldBefore:
    """Makes an audience of those who received a step."""

    def __init__(
        self, *, receivers: Receivers, recipients: Recipients, customers: Customers, digest_key: bytes
    ) -> None:
        self._receivers, self._recipients, self._customers = receivers, recipients, customers
        self._digest_key = digest_key

    def gather(self, outreach: str, revision: int, playbook: Playbook) -> None:
        """Copies the receivers of what `playbook` is an addendum to, and leaves out whom it may not reach."""
        assert playbook.addendum is not None  # noqa: S101 - only an addendum gets here
        for gone in self._recipients.discard(outreach, revision):
            beat(gone)
        self._receivers.copy(outreach, revision, playbook.addendum.step)
        for rows in self._receivers.copied(outreach, revision):
            customers = self._customers.resolve(sorted({row.customer for row in rows}))
            left_out: dict[str, list[int]] = {}
            for row in rows:
                left_out.setdefault(self._verdict(row, customers, playbook), []).append(row.id)
            left_out.pop(ELIGIBLE, None)
            for verdict, ids in left_out.items():
                self._recipients.leave_out(ids, verdict)
            beat(rows[-1].position)

    def _verdict(self, row: Recipient, customers: Mapping[str, Customer], playbook: Playbook) -> str:
        customer = customers.get(row.customer)
        if customer is None:
            return "unknown_customer"
        address = customer.addresses.get(row.channel)
        if address is None or not address.usable:
            return "no_usable_address"
        if address_digest(self._digest_key, row.channel, address.address) != row.address_digest:
            return "address_changed"
        if not may_contact(customer.consents, row.channel, playbook.purpose):
            return "opted_out"
        if row.locale not in playbook.initial.messages.get(row.channel, {}):
            return "no_text_in_their_language"
        if playbook.initial.kind != CORRECTION and row.cleared_at is not None:
            return "condition_cleared"
        return ELIGIBLE


def _refused(code: str, message: str) -> DraftAnswer:
    return DraftAnswer(accepted=False, code=code, message=message[:500])
