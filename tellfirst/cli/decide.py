"""`approve`, `reject`, `request-changes`: a person signs exactly what would be sent."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tellfirst.cli.agreement import agreement
from tellfirst.cli.arguments import Outreach, Reason, Revision, read_reason
from tellfirst.cli.binding import check_binding
from tellfirst.cli.output import Json, confirm, counted, note, print_json, say, when
from tellfirst.cli.picture import picture
from tellfirst.cli.screen import short_summary, show_picture
from tellfirst.cli.ssh_key import choose_key, principal_of, sign
from tellfirst.cli.submitting import submit
from tellfirst.cli.unconfirmed import Unconfirmed
from tellfirst.cli.wiring import Installation, opened, with_outreaches
from tellfirst.contract import DecisionAnswer, DecisionEnvelope
from tellfirst.errors import InputError, RefusedError
from tellfirst.playbooks.loader import parse
from tellfirst.signing.documents import Choice
from tellfirst.signing.kinds import OutreachDecision
from tellfirst.signing.rules import rule_for
from tellfirst.store.outreaches import OutreachRecord, RevisionRecord

Key = Annotated[
    Path | None, typer.Option("--key", metavar="PATH", help="SSH key, or .pub of an agent's; default TELLFIRST_KEY.")
]
As = Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Your name; default the holder of the key.")]
AsSignal = Annotated[bool, typer.Option("--as-signal", help="Leave the decision even while no worker is alive.")]
Count = Annotated[
    int | None, typer.Option("--count", help="How many recipients; asked for above the playbook's tripwire.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]

REMEDIES = {
    "stale_content": "look at the present revision with `tellfirst show` and decide that one",
    "too_late": "the deadline has passed and nobody was told; a new revision needs a new decision",
    "expired": "ask for a new revision",
    "already_decided": "`tellfirst show` tells who decided",
    "unknown_key": "ask for your key to be added to the registry",
    "wrong_person": "sign in your own name: leave --as away",
    "not_an_approver": "ask one who has the role",
    "key_revoked": "decide again with another key",
    "key_expired": "use a key that is valid",
    "same_person": "another person approves it too, with `tellfirst approve`",
    "own_proposal": "ask somebody who neither proposed nor wrote it",
    "wrong_prior": "look with `tellfirst show` who approved, and approve again",
    "not_ready": "wait until the outreach is planned",
}


def approve(
    outreach: Outreach,
    revision: Revision = None,
    key: Key = None,
    principal: As = "",
    as_signal: AsSignal = False,
    count: Count = None,
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Approve a revision, signed with your SSH key.

    The signature binds exactly its words, its recipients and its promises.
    """
    decide(
        "approve", outreach, revision, key, principal, "", count=count, as_signal=as_signal, yes=yes, as_json=as_json
    )


def reject(
    outreach: Outreach,
    reason: Reason,
    revision: Revision = None,
    key: Key = None,
    principal: As = "",
    as_signal: AsSignal = False,
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Reject a revision: nobody is told."""
    decide("reject", outreach, revision, key, principal, reason, as_signal=as_signal, yes=yes, as_json=as_json)


def request_changes(
    outreach: Outreach,
    reason: Reason,
    revision: Revision = None,
    key: Key = None,
    principal: As = "",
    as_signal: AsSignal = False,
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Ask for another revision.

    It is planned anew, from the playbooks that the worker holds then.
    """
    decide("request_changes", outreach, revision, key, principal, reason, as_signal=as_signal, yes=yes, as_json=as_json)


def decide(
    choice: Choice,
    name: str,
    number: int | None,
    key: Path | None,
    principal: str,
    reason: str,
    *,
    as_signal: bool,
    count: int | None = None,
    yes: bool,
    as_json: bool,
) -> None:
    """Shows, checks, asks, signs and submits; prints the answer, and exits with 1 when it is a refusal."""
    if choice != "approve":
        reason = read_reason(reason, most=1_000)
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("there is no terminal to ask on", remedy="look with `tellfirst show`, then give --yes")
    with opened() as here:
        record = here.outreach(name)
        _still_open(record)
        revision = here.revision(record, number)
        if revision is None:
            raise RefusedError("nothing is planned yet that could be decided", where=name, remedy="try again shortly")
        _only_one_waits(here, record, number)
        check_binding(here, revision)
        path = choose_key(key, here.settings)
        who = principal_of(path, principal, here.settings)
        rule = rule_for(parse(revision.playbook_text, "the planned playbook").playbook, revision.proposal)

        def document() -> OutreachDecision:
            # Read again whenever it is signed: somebody else may have been first.
            agreed = agreement(here, revision.proposal, rule, revision.number)
            prior = agreed.prior(who) if choice == "approve" else ""
            return revision.proposal.decide(choice, who, datetime.now(UTC), reason, prior)

        _show(here, record, revision, choice, who, count=count, yes=yes)
        if as_signal:
            _leave(here, name, document(), path, as_json=as_json)
            return
        answer, envelope = submit(here, name, document, path)
        if answer.code == "already_decided" and _is_ours(here, name, envelope):
            answer = answer.model_copy(update={"accepted": True, "code": "", "message": reason})
    _print_answer(name, answer, as_json=as_json)


def _still_open(record: OutreachRecord) -> None:
    if record.closed_at is not None:
        why = f" ({record.reason})" if record.reason else ""
        raise RefusedError(
            f"the outreach ended as {record.ending} on {when(record.closed_at)}{why}",
            where=record.id,
            remedy="there is nothing left to decide",
        )


def _only_one_waits(here: Installation, record: OutreachRecord, number: int | None) -> None:
    waiting = [revision.number for revision in here.outreaches.pending(record.id)]
    if number is None and len(waiting) > 1:
        raise InputError(
            f"revisions {', '.join(map(str, waiting))} wait for a decision each",
            where=record.id,
            remedy="say which one with --revision",
        )


def _show(
    here: Installation,
    record: OutreachRecord,
    revision: RevisionRecord,
    choice: Choice,
    who: str,
    *,
    count: int | None,
    yes: bool,
) -> None:
    seen = picture(here, record, revision, now=datetime.now(UTC))
    summary = f"{choice.replace('_', ' ')} as {who}: {short_summary(seen)}"
    if yes:
        note(summary)
    else:
        show_picture(seen)
        say("")
    recipients = revision.proposal.audience_count
    if choice == "approve" and seen.offer is not None and recipients > seen.offer.tripwire:
        _check_count(recipients, count, ask=not yes)
    if not yes:
        confirm(f"{summary}?")


def _check_count(recipients: int, given: int | None, *, ask: bool) -> None:
    if given is None and ask:
        given = typer.prompt(f"This goes to {recipients:,} recipients. Type how many", type=int)
    if given != recipients:
        said = "their number was not given" if given is None else f"{given:,} is not their number"
        raise InputError(
            f"this goes to {counted(recipients, 'recipient')}, more than its playbook lets pass without a look; {said}",
            where="--count",
            remedy="look with `tellfirst show`, then give exactly how many",
        )


def _is_ours(here: Installation, name: str, envelope: DecisionEnvelope) -> bool:
    sent = envelope.model_dump(mode="json")
    return any(d.accepted and d.envelope == sent for d in here.decisions.received(name))


def _leave(here: Installation, name: str, document: OutreachDecision, key: Path, *, as_json: bool) -> None:
    kept = Unconfirmed(here.settings.data_dir / "unconfirmed")
    envelope = kept.find(document) or sign(document, key)
    kept.keep(document, envelope)
    with_outreaches(lambda client: client.decide(name, envelope))
    kept.drop(document)
    if as_json:
        print_json({"outreach": name, "revision": document.revision, "left": True})
    else:
        say(f"left with revision {document.revision} of {name}; `tellfirst show` tells what became of it")


def _print_answer(name: str, answer: DecisionAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json({"outreach": name, **answer.model_dump(mode="json")})
    if answer.accepted:
        if not as_json:
            said = {"approve": "approved", "reject": "rejected"}.get(answer.decision, "sent back for changes")
            say(f"{said}: revision {answer.revision} of {name}, by {answer.approver}")
            if answer.status == "pending":
                say(f"{answer.approvals} of {answer.needed} approvals; another person must approve too")
        return
    remedy = REMEDIES.get(answer.code, "")
    # The worker's own words end with a remedy too; the code is what machines and people look up.
    note(f"refused ({answer.code}): {answer.message}{f'; {remedy}' if remedy and ';' not in answer.message else ''}")
    raise typer.Exit(1)
