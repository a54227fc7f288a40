"""One screen for an approver: why, who and how many, the very texts, what happens next, what is withheld and why."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from rich.padding import Padding
from rich.table import Table

from tellfirst.cli.escalations import escalation_lines, notice_lines
from tellfirst.cli.harm import harm_lines
from tellfirst.cli.output import counted, length, put, shown, visible, when
from tellfirst.cli.picture import Offer, Picture
from tellfirst.domain.plan import CORRECTION, INITIAL
from tellfirst.measurement.assignment import either
from tellfirst.playbooks.schema import Addendum

WORDS = {
    "unknown_customer": "not among our customers",
    "no_usable_address": "no usable address",
    "opted_out": "opted out",
    "held": "may have opted out, and nobody has looked yet",
    "no_text_in_their_language": "no text in their language",
    "facts_missing_or_wrong": "facts missing or wrong",
    "told_in_another_message": "told in another message of this outreach",
    "text_does_not_fit": "the text would be too long",
    "not_continued": "behind the first few, and nobody let them be told",
    "told_before": "reached by the channel before after all",
    "frequency_cap": "had enough messages lately",
    "too_late": "no hour at which they may be disturbed came in time",
    "unknown_zone": "nobody knows at which hours they may be disturbed",
    "promise_in_quiet_hours": "what is promised would fall due at hours at which they may not be disturbed",
    "quiet_hours": "until they may be disturbed",
    "condition_cleared": "over for them",
    "address_changed": "reached elsewhere by now",
}

HOLDOUTS = {"global": "the hold-out of all outreaches", "playbook": "the playbook's"}

REPLIES = {
    "thanks": "says thanks",
    "why": "asks why they get this",
    "opt_out": "opted out",
    "opt_in": "wants messages again",
    "answer": "answers a survey",
    "help": "asked the carrier for help",
    "automatic": "written by a program",
}
"""What the tones and kinds of replies are called; others are their own names."""


def show_picture(picture: Picture) -> None:
    """Prints an outreach for people."""
    put(shown(picture.offer.title if picture.offer else picture.trigger, "bold"))
    put(shown(picture.outreach))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(picture):
        table.add_row(name, shown(visible(value)))
    put(table)
    for channel in picture.offer.plan.channels if picture.offer else ():
        samples = [s for s in picture.offer.samples if s.channel == channel] if picture.offer else []
        put(shown(f"{channel}: {counted(len(samples), 'sample')}, word for word", "bold"))
        for sample in samples:
            head = visible(f"to {sample.customer} ({sample.locale})")
            head += f": {visible(sample.subject)}" if sample.subject else ""
            put(Padding(shown(head, "italic"), (0, 2), expand=False))
            put(Padding(shown(sample.body), (0, 2, 0, 4), expand=False))


def short_summary(picture: Picture) -> str:
    """Returns in one sentence what a decision is about."""
    offer = picture.offer
    if offer is None:
        return f"{picture.outreach}: not planned yet"
    channels = ", ".join(f"{count:,} by {channel}" for channel, count in offer.channels.items())
    otherwise = f"; {also}" if (also := _otherwise(offer)) else ""
    return (
        f"revision {offer.revision} of {picture.outreach}: {counted(offer.plan.recipients, 'recipient')} "
        f"({channels}{otherwise}), {_cost(offer)}, {_environment(picture)}, decide by {when(offer.plan.decide_by)}"
    )


def _lines(picture: Picture) -> Iterator[tuple[str, str]]:
    offer = picture.offer
    yield "stands", _standing(picture)
    yield "where", _environment(picture)
    facts = ", ".join(f"{name} {value}" for name, value in picture.facts.items())
    yield "why", f"detected {when(picture.detected_at)}; key {picture.key}{f'; {facts}' if facts else ''}"
    if offer is not None and offer.addendum is None and offer.proposal.proposer:
        yield "", f"asked for by {offer.proposal.proposer}, who cannot approve it"
    if offer is not None:
        yield "", f"contacts about {offer.plan.reason_code}; purpose {offer.purpose}; owner {offer.plan.owner}"
        if offer.addendum is not None:
            yield "what", _added(offer.addendum, offer)
        yield "who", _audience(offer)
        if otherwise := _otherwise(offer):
            yield "", otherwise
        if offer.at_any_hour:
            yield "when", "at any hour: it does not wait for the morning"
        yield "cost", _cost(offer)
    elif not picture.closed_at:
        yield "who", "the affected customers are being found"
    yield "not told", _reasons(picture.not_told) or "nobody is left out"
    if offer is not None:
        if offer.set_aside:
            yield "set aside", _reasons(offer.set_aside)
        if offer.arms:
            yield "arms", _arms(offer)
        if offer.rest is not None:
            yield from offer.rest.lines(offer.plan.reason_code)
        if not picture.closed_at:
            yield from _next(offer)
    for step, states in _sends(picture).items():
        yield "sent" if step == INITIAL else "", f"{step}: {states}"
    if picture.sending is not None:
        yield "sending", picture.sending.words(length)
    if picture.replies:
        said = ", ".join(f"{count:,} {REPLIES.get(name, name)}" for name, count in picture.replies.items())
        yield "replies", f"{said}: tellfirst replies {picture.outreach}"
    yield from harm_lines(picture.harm)
    for decided in picture.decisions:
        said = "accepted" if decided.accepted else f"refused ({decided.code})"
        who = f" by {decided.approver}" if decided.approver else ""
        words = f": {decided.reason}" if decided.reason else ""
        chosen = decided.decision.replace("_", " ") or "unreadable"
        yield "decision", f"{chosen}{who}, revision {decided.revision}, {said} {when(decided.at)}{words}"
    yield from escalation_lines(picture.escalations[-5:])
    yield from notice_lines(picture.notices[-5:])


def _standing(picture: Picture) -> str:
    if picture.closed_at:
        said = f"closed {when(picture.closed_at)}: {picture.ending}{f', {picture.reason}' if picture.reason else ''}"
    elif picture.offer is None:
        said = "being planned"
    else:
        said = f"revision {picture.offer.revision} is {picture.offer.status}"
    held = picture.paused and not picture.closed_at
    stops = [
        ("paused: it does harm", held and picture.harm.holds),
        ("held by a person (pause or abort)", held and not picture.harm.holds),
        (f"stopped: {picture.blocked}", bool(picture.blocked)),
        ("everything is paused", picture.pause_all),
        (f"the condition was over {when(picture.cleared_at)}", picture.cleared_at is not None),
        *((f"{channel} halted: {why}", True) for channel, why in picture.halted.items()),
    ]
    return "; ".join([said, *(words for words, holds in stops if holds)])


def _environment(picture: Picture) -> str:
    real = [f"{channel} leaves through {way}" for channel, way in picture.leaves_by.items() if way != "outbox"]
    if not real:
        return f"environment {picture.environment}, DRY RUN: messages go to the outbox and reach nobody"
    return f"environment {picture.environment}, LIVE: {', '.join(real)}"


def _cost(offer: Offer) -> str:
    proposal = offer.proposal
    if not proposal.currency:
        return "cost unknown"
    return f"about {Decimal(proposal.cost_micros) / 1_000_000:,.2f} {proposal.currency} at most for everything promised"


def _added(addendum: Addendum, offer: Offer) -> str:
    words = "a correction of" if offer.plan.initial.kind == CORRECTION else "an update that nobody planned, after"
    return f"{words} '{addendum.step}', drafted by {addendum.by}: {addendum.reason}"


def _audience(offer: Offer) -> str:
    channels = ", ".join(f"{count:,} by {channel}" for channel, count in offer.channels.items())
    if offer.addendum is not None:
        return (
            f"{counted(offer.plan.recipients, 'recipient')}: {channels}; all of them received '{offer.addendum.step}'"
        )
    held = either(offer.global_holdout, offer.holdout)
    share = (
        f"{1 - held:.0%} are told, {held:.0%} are held out to measure" if held else "all are told, nobody is held out"
    )
    if offer.global_holdout:
        share += f", {offer.global_holdout:.0%} by the hold-out of all outreaches"
    if offer.phases > 1:
        share += f"; told in {offer.phases} phases, {length(offer.phase)} apart, as chance has it"
    return f"{counted(offer.plan.recipients, 'recipient')}: {channels}; {share}"


def _arms(offer: Offer) -> str:
    arms = ", ".join(f"{count:,} {arm}" for arm, count in sorted(offer.arms.items(), reverse=True))
    if not offer.held_out.get("global"):
        return arms
    by = ", ".join(f"{count:,} by {HOLDOUTS.get(name, name)}" for name, count in sorted(offer.held_out.items()))
    return f"{arms} ({by})"


def _otherwise(offer: Offer) -> str:
    """Returns who may be told by a further channel; empty when nobody may."""
    by = [f"{count:,} by {channel}" for channel, count in offer.proposal.fallbacks.items()]
    return f"where that does not reach them, {', '.join(by)}" if by else ""


def _next(offer: Offer) -> Iterator[tuple[str, str]]:
    plan = offer.plan
    if offer.status == "pending":
        yield "decide by", f"{when(plan.decide_by)}, by {' or '.join(plan.approvers)}; silence is not consent"
        if offer.agreement.words:
            yield "agreed", offer.agreement.words
    if offer.permit:
        yield "permit", offer.permit
    at_once = "to the first few at once, to the rest once a person lets them be told" if plan.canary else "at once"
    yield "then", f"{plan.initial.id}: {at_once}, until {when(plan.initial.not_after)}"
    for step in plan.updates:
        ready = f", prepared from {when(step.act_at)}" if step.act_at != step.due else ""
        yield "", f"{step.id}: promised by {when(step.due)}{ready}"
    if plan.unplanned:
        yield "", f"nothing of it leaves after {when(plan.valid_until)}; nobody is measured by it"
        return
    over = "resolved: instead of an update, as soon as it is over" if plan.resolved else "no text for when it is over"
    yield "", over
    yield "", f"nothing leaves after {when(plan.valid_until)}; contacts count for {length(plan.window)} from the start"


def _sends(picture: Picture) -> dict[str, str]:
    steps: dict[str, dict[str, int]] = {}
    for count in sorted(picture.sends, key=lambda one: one.step != INITIAL):
        words = f"{count.state} ({WORDS.get(count.reason, count.reason)})" if count.reason else str(count.state)
        words = f"lost by {count.channel} and sent on" if count.sent_on else words
        states = steps.setdefault(count.step, {})
        states[words] = states.get(words, 0) + count.count
    return {step: ", ".join(f"{n:,} {state}" for state, n in states.items()) for step, states in steps.items()}


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {WORDS.get(reason, reason)}" for reason, count in counts.items())
