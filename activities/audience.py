"""The audience of a plan: each affected customer is judged, and who is left out is kept with the reason."""

from collections.abc import Mapping
from datetime import datetime

from activities.affected import Affected
from activities.beat import Beat
from activities.behind import Behind
from tellfirst.domain.condition import Facts, Subject, personal_pattern
from tellfirst.domain.message import Channel
from tellfirst.domain.plan import PlannedStep
from tellfirst.domain.recipient import ELIGIBLE, Alternate, Candidate
from tellfirst.playbooks.fields import RenderError
from tellfirst.playbooks.promises import own_promises, planned_steps
from tellfirst.playbooks.render import check_facts, choose_locale
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.choice import Reach, choose, in_order
from tellfirst.policy.hours import ALWAYS, Calendar
from tellfirst.policy.quiet import RINGING, HoursTable, calendar_for
from tellfirst.policy.zones import NOWHERE, Zones, zones_of
from tellfirst.signing.audience import address_digest
from tellfirst.store.customers import Customer, Customers
from tellfirst.store.outreaches import OutreachRecord
from tellfirst.store.recipients import Recipients
from tellfirst.store.whereabouts import NUMBERS

ANYWHERE = Zones(names=("UTC",))


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
        hours: HoursTable,
        default_zone: str,
    ) -> None:
        self._recipients, self._customers, self._affected = recipients, customers, affected
        self._channels, self._digest_key = channels, digest_key
        self._hours, self._default_zone = hours, default_zone

    def gather(self, case: OutreachRecord, revision: int, playbook: Playbook, now: datetime) -> None:
        """Keeps a verdict about each affected subject that no revision has planned for yet."""
        beat = Beat()
        for gone in self._recipients.discard(case.id, revision):
            beat.tell(gone)
        position, rules = 0, Rules(playbook, planned_steps(playbook, now), self._channels)
        with Behind() as behind:
            for fresh in self._affected.not_planned(case, playbook, at=now):
                customers = self._customers.resolve(sorted({s.customer for s in fresh}))
                candidates = [
                    self._candidate(subject, customers.get(subject.customer), case.facts, rules) for subject in fresh
                ]
                behind.do(self._recipients.add, case.id, revision, candidates, first=position)
                position += len(candidates)
                beat.tell(position)
        self._recipients.fold_customers(case.id, revision)

    def _candidate(
        self,
        subject: Subject,
        customer: Customer | None,
        shared: Facts,
        rules: "Rules",
    ) -> Candidate:
        playbook = rules.playbook

        def left_out(verdict: str) -> Candidate:
            cluster = customer.cluster if customer else subject.customer
            return Candidate(subject_key=subject.key, customer=subject.customer, cluster=cluster, verdict=verdict)

        if customer is None:
            return left_out("unknown_customer")
        locales = rules.locales(customer.preference.locale or customer.locale)
        channels = self._choose(customer, rules, locales)
        if isinstance(channels, str):
            return left_out(channels)
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
        if any(isinstance(v, str) and personal_pattern(v) for n, v in facts.items() if n in rules.plain):
            return left_out("facts_missing_or_wrong")
        promises = own_promises(rules.steps, self._calendar(customer, rules, channels[0]))
        if promises is None:
            return left_out("promise_in_quiet_hours")
        first, *others = (
            Alternate(
                channel=channel,
                locale=locales[channel],
                address_digest=address_digest(self._digest_key, channel, customer.addresses[channel].address),
            )
            for channel in channels
        )
        return Candidate(
            subject_key=subject.key,
            customer=customer.id,
            cluster=customer.cluster,
            verdict=ELIGIBLE,
            channel=first.channel,
            locale=first.locale,
            timezone=customer.preference.timezone or customer.timezone,
            address_digest=first.address_digest,
            facts=facts,
            promises=promises,
            alternates=tuple(others),
        )

    def _choose(self, customer: Customer, rules: "Rules", locales: Mapping[Channel, str]) -> tuple[Channel, ...] | str:
        """Returns the channels by which they may be told, in order, or the verdict why by none."""
        playbook = rules.playbook
        addresses = customer.addresses
        usable = frozenset(c for c in rules.channels if c in addresses and addresses[c].usable)
        return choose(
            rules.order,
            Reach(
                usable=usable,
                locales=locales,
                consents=customer.consents,
                never_open=self._never_open(customer, rules, usable),
                preferred=customer.preference.channel or customer.preferred,
                high_value=customer.high_value and playbook.choice.high_value == "person",
            ),
            purpose=playbook.purpose,
        )

    def _calendar(self, customer: Customer, rules: "Rules", channel: Channel) -> Calendar:
        """Returns when they may be told of what is promised."""

        def within(zones: Zones) -> Calendar:
            return calendar_for(
                self._hours,
                rules.timing,
                channel=channel,
                zones=zones,
                business=customer.business,
                quiet=customer.preference.quiet,
            )

        if not rules.promises or not within(ANYWHERE).rules:
            return ALWAYS
        number = next((customer.addresses[c].address for c in NUMBERS if c in customer.addresses), None)
        zones = zones_of(
            stated=customer.preference.timezone,
            imported=customer.timezone,
            region=customer.region,
            phone=number,
            default=self._default_zone,
        )
        return within(zones)

    def _never_open(self, customer: Customer, rules: "Rules", usable: frozenset[Channel]) -> frozenset[Channel]:
        """Returns the channels with hours that nobody can keep, because their zone is unknown."""
        held = frozenset(
            channel
            for channel in usable & RINGING
            if calendar_for(
                self._hours,
                rules.timing,
                channel=channel,
                zones=NOWHERE,
                business=customer.business,
                quiet=customer.preference.quiet,
            ).rules
        )
        if not held or customer.preference.timezone or customer.timezone:
            return frozenset()
        number = next((customer.addresses[c].address for c in NUMBERS if c in customer.addresses), None)
        zones = zones_of(region=customer.region, phone=number, default=self._default_zone)
        return frozenset() if zones.names else held


class Rules:
    """Is what a playbook says to everybody, worked out once for an audience."""

    def __init__(self, playbook: Playbook, steps: tuple[PlannedStep, ...], served: frozenset[str]) -> None:
        self.playbook, self.steps = playbook, steps
        self.timing, self.promises = playbook.timing, bool(playbook.updates)
        self.channels = frozenset(channel for channel in playbook.channels if channel in served)
        self.order = in_order(playbook.channels, urgency=playbook.urgency, by=playbook.choice.order)
        self.plain = frozenset(name for name, field in playbook.data.items() if field.class_ == "operational")
        self._locales: dict[str, dict[Channel, str]] = {}

    def locales(self, wanted: str) -> Mapping[Channel, str]:
        """Returns the language of the text on each channel that has one for who wants it in `wanted`."""
        if wanted not in self._locales:
            initial, usual = self.playbook.initial, self.playbook.default_locale
            chosen = {channel: choose_locale(initial, channel, wanted, usual) for channel in self.playbook.channels}
            self._locales[wanted] = {channel: locale for channel, locale in chosen.items() if locale is not None}
        return self._locales[wanted]
