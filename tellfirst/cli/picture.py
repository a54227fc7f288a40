"""What an approver needs to see of an outreach, gathered from the database; never an address."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import AwareDatetime

from tellfirst.cli.agreement import Agreement, agreement
from tellfirst.cli.escalations import Told, notices_of
from tellfirst.cli.harm import Watched, harm_of
from tellfirst.cli.rest import Rest, rest_of
from tellfirst.cli.wiring import Installation
from tellfirst.contract import continue_id
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Facts
from tellfirst.domain.message import Rendered
from tellfirst.domain.plan import Plan
from tellfirst.domain.recipient import ELIGIBLE, Recipient
from tellfirst.playbooks.holdouts import holdouts_of
from tellfirst.playbooks.loader import parse
from tellfirst.playbooks.promises import next_promise
from tellfirst.playbooks.render import Template, compile_step
from tellfirst.playbooks.schema import Addendum, Playbook
from tellfirst.settings import Settings
from tellfirst.signing.kinds import Proposal
from tellfirst.signing.rules import rule_for
from tellfirst.store.controls import PAUSE_ALL
from tellfirst.store.decisions import DecisionRecord
from tellfirst.store.escalations import EscalationRecord
from tellfirst.store.outreaches import OutreachRecord, RevisionRecord
from tellfirst.store.sending import Sending
from tellfirst.store.sends import StateCount

REST = {"approve": "continue", "reject": "leave the rest untold"}
"""How a decision about those behind the first few is told."""
SAMPLES = 3
"""Samples per channel."""


class Sample(Frozen):
    """Is one message exactly as it would leave."""

    channel: str
    customer: str
    locale: str
    subject: str
    body: str


class Decided(Frozen):
    """Is one decision that was received."""

    revision: int
    decision: str
    approver: str
    accepted: bool
    code: str
    reason: str
    at: AwareDatetime


class Offer(Frozen):
    """Is one revision as it is offered for decision; `proposal` with five fields more is the document to sign."""

    revision: int
    status: str
    title: str
    purpose: str
    category: str
    at_any_hour: bool
    plan: Plan
    holdout: float
    global_holdout: float
    phases: int
    phase: timedelta
    tripwire: int
    channels: dict[str, int]
    set_aside: dict[str, int]
    arms: dict[str, int]
    held_out: dict[str, int]
    samples: tuple[Sample, ...]
    proposal: Proposal
    addendum: Addendum | None = None
    agreement: Agreement
    rest: Rest | None
    permit: str


class Picture(Frozen):
    """Is one outreach on one screen."""

    outreach: str
    trigger: str
    key: str
    episode: int
    detected_at: AwareDatetime
    started_at: AwareDatetime
    facts: Facts
    environment: str
    leaves_by: dict[str, str]
    live: bool
    paused: bool
    pause_all: bool
    blocked: str
    halted: dict[str, str]
    cleared_at: AwareDatetime | None
    closed_at: AwareDatetime | None
    ending: str
    reason: str
    not_told: dict[str, int]
    offer: Offer | None
    decisions: tuple[Decided, ...]
    sends: tuple[StateCount, ...]
    sending: Sending | None = None
    replies: dict[str, int]
    harm: Watched = Watched()
    escalations: tuple[EscalationRecord, ...]
    notices: tuple[Told, ...]


def picture(here: Installation, outreach: OutreachRecord, revision: RevisionRecord | None, *, now: datetime) -> Picture:
    """Returns the picture of an outreach with one of its revisions as of `now`."""
    controls = {control.name: control.value for control in here.controls.on()}
    number = revision.number if revision else 1
    verdicts = here.recipients.verdicts(outreach.id, number)
    offer = None if revision is None else _offer(here, revision)
    ways = ways_out(here.settings, offer.plan.channels if offer else ())
    return Picture(
        **outreach.model_dump(exclude={"id", "audience"}),
        outreach=outreach.id,
        environment=here.settings.environment,
        leaves_by=ways,
        live=any(way != "outbox" for way in ways.values()),
        pause_all=PAUSE_ALL in controls,
        halted={name.partition(":")[2]: why for name, why in controls.items() if name.startswith("channel:")},
        not_told={verdict: count for verdict, count in sorted(verdicts.items()) if verdict != ELIGIBLE},
        offer=offer,
        decisions=(
            *(_decided(d, d.revision, d.decision) for d in here.decisions.received(outreach.id)),
            *(
                _decided(d, number, REST.get(d.decision, d.decision))
                for d in here.decisions.received(continue_id(outreach.id, number))
            ),
        ),
        sends=tuple(here.sends.states(outreach.id)),
        sending=here.dashboard.sending(outreach.id, now=now),
        replies=here.replies.counts(outreach.id),
        harm=harm_of(here, outreach, revision),
        escalations=tuple(here.escalations.of(outreach.id)),
        notices=notices_of(here, outreach.id),
    )


def ways_out(settings: Settings, channels: Sequence[str]) -> dict[str, str]:
    """Returns by which provider each channel leaves as configured here; `outbox` reaches nobody."""
    named = {"twilio": "Twilio"}
    return {channel: named.get(way := settings.providers[channel], way) for channel in channels}


def render_row(playbook: Playbook, plan: Plan, row: Recipient, templates: dict[str, Template]) -> Rendered:
    """Returns the first message of a recipient as dispatch renders it; `templates` keeps what was compiled."""
    name = f"{row.channel}.{row.locale}"
    if name not in templates:
        templates[name] = compile_step(playbook, playbook.initial.id, row.channel, row.locale)
    promise = next_promise(plan.steps, playbook.initial.id, row.promises)
    return templates[name].render(row.facts, promise=promise, zone=row.timezone or playbook.timezone, others=row.others)


def _offer(here: Installation, revision: RevisionRecord) -> Offer:
    playbook = parse(revision.playbook_text, "the planned playbook").playbook
    templates: dict[str, Template] = {}
    samples, holdouts = [], holdouts_of(playbook, here.settings.global_holdout)
    for row in here.recipients.samples(revision.outreach, revision.number, SAMPLES):
        text = render_row(playbook, revision.plan, row, templates)
        samples.append(
            Sample(channel=row.channel, customer=row.customer, locale=row.locale, subject=text.subject, body=text.body)
        )
    return Offer(
        revision=revision.number,
        status=revision.status,
        title=playbook.title,
        purpose=playbook.purpose,
        category=playbook.category,
        at_any_hour=playbook.timing.ignores_hours,
        plan=revision.plan,
        holdout=playbook.measure.holdout,
        global_holdout=holdouts.everywhere,
        phases=holdouts.phases,
        phase=holdouts.phase,
        tripwire=playbook.approval.tripwire,
        channels=dict(revision.proposal.channels),
        set_aside=here.recipients.set_aside(revision.outreach, revision.number),
        arms=here.recipients.arms(revision.outreach),
        held_out=here.recipients.held_out(revision.outreach),
        samples=tuple(samples),
        proposal=revision.proposal,
        addendum=playbook.addendum,
        agreement=agreement(here, revision.proposal, rule_for(playbook, revision.proposal), revision.number),
        permit=_permit(here, revision),
        rest=rest_of(here, revision),
    )


def _permit(here: Installation, revision: RevisionRecord) -> str:
    use = here.permits.of(revision.outreach, revision.number)
    if use is None:
        return ""
    name = use.permit.partition("/")[2]
    return use.reason or f"covered in advance by permit {name}; `tellfirst permits show {name}`"


def _decided(record: DecisionRecord, revision: int, said: str) -> Decided:
    return Decided(
        revision=revision,
        decision=said,
        approver=record.approver if record.fingerprint else "",
        accepted=record.accepted,
        code=record.code,
        reason=_reason(record),
        at=record.received_at,
    )


def _reason(decision: DecisionRecord) -> str:
    document = (decision.envelope or {}).get("document")
    return str(document.get("reason", "")) if decision.accepted and isinstance(document, dict) else ""
