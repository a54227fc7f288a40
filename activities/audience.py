"""The audience of a plan: each affected customer is judged, and who is left out is kept with the reason."""

from datetime import datetime

from temporalio import activity

from activities.affected import Affected
from tellfirst.domain.condition import Facts, Subject, personal_pattern
from tellfirst.domain.recipient import ELIGIBLE, Candidate
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.render import check_facts, choose_locale
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.consent import may_contact
from tellfirst.signing.audience import address_digest
from tellfirst.store.customers import Customer, Customers
from tellfirst.store.outreaches import OutreachRecord
from tellfirst.store.recipients import Recipients


class Audience:
    """Gathers those whom a plan would tell."""

    def __init__(
        self,
        *,
        recipients: Recipients,
        customers: Customers,
        affected: Affected,
        channels: frozenset[str],
        digest_key: bytes,
    ) -> None:
        self._recipients, self._customers, self._affected = recipients, customers, affected
        self._channels, self._digest_key = channels, digest_key

    def gather(self, case: OutreachRecord, revision: int, playbook: Playbook, now: datetime) -> None:
        """Keeps a verdict about each affected subject that no revision has planned for yet."""
        self._recipients.discard(case.id, revision)
        position = 0
        for fresh in self._affected.not_planned(case, playbook, at=now):
            customers = self._customers.resolve(sorted({s.customer for s in fresh}))
            candidates = [
                self._candidate(subject, customers.get(subject.customer), playbook, case.facts) for subject in fresh
            ]
            self._recipients.add(case.id, revision, candidates, first=position)
            position += len(candidates)
            activity.heartbeat(position)
        self._recipients.fold_customers(case.id, revision)

    def _candidate(self, subject: Subject, customer: Customer | None, playbook: Playbook, shared: Facts) -> Candidate:
        def left_out(verdict: str) -> Candidate:
            cluster = customer.cluster if customer else subject.customer
            return Candidate(subject_key=subject.key, customer=subject.customer, cluster=cluster, verdict=verdict)

        if customer is None:
            return left_out("unknown_customer")
        reachable = [
            channel
            for channel in playbook.channels
            if channel in self._channels and channel in customer.addresses and customer.addresses[channel].usable
        ]
        if not reachable:
            return left_out("no_usable_address")
        allowed = [c for c in reachable if may_contact(customer.consents, c, playbook.purpose)]
        if not allowed:
            return left_out("opted_out")
        channel = allowed[0]
        locale = choose_locale(playbook.initial, channel, customer.locale, playbook.default_locale)
        if locale is None:
            return left_out("no_text_in_their_language")
        facts: Facts = {}
        for name, field in playbook.data.items():
            source = shared if field.source == "condition" else subject.facts
            value = customer.first_name if field.source == "customer" else source.get(name)
            if value is not None:
                facts[name] = value
        try:
            check_facts(playbook, facts)
        except RenderError:
            return left_out("facts_missing_or_wrong")
        if any(isinstance(v, str) and personal_pattern(v) for n, v in facts.items() if _plain(playbook, n)):
            return left_out("facts_missing_or_wrong")
        return Candidate(
            subject_key=subject.key,
            customer=customer.id,
            cluster=customer.cluster,
            verdict=ELIGIBLE,
            channel=channel,
            locale=locale,
            timezone=customer.timezone,
            address_digest=address_digest(self._digest_key, channel, customer.addresses[channel].address),
            facts=facts,
        )


def _plain(playbook: Playbook, name: str) -> bool:
    return playbook.data[name].class_ == "operational"
