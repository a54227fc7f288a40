"""`exceptions request|list|show|approve|deny`: a customer asks for more than the message, and named people grant it."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from tellfirst.cli.agreement import agreement
from tellfirst.cli.arguments import Outreach, Reason, read_reason
from tellfirst.cli.decide import REMEDIES, As, Key, Yes
from tellfirst.cli.output import Json, confirm, note, print_json, print_table, say, when
from tellfirst.cli.ssh_key import choose_key, principal_of
from tellfirst.cli.submitting import submit
from tellfirst.cli.wiring import Installation, opened, whoever, with_outreaches
from tellfirst.contract import DecisionAnswer, ExceptionAsked, exception_id
from tellfirst.domain.message import Rendered
from tellfirst.errors import InputError, NotFoundError, RefusedError
from tellfirst.playbooks.answers import major, render_answer
from tellfirst.playbooks.boundaries import Boundary
from tellfirst.playbooks.loader import parse
from tellfirst.playbooks.schema import Playbook
from tellfirst.policy.approval import ApprovalRule
from tellfirst.policy.exceptions import Asked, grant_rule
from tellfirst.settings import Settings
from tellfirst.signing.audience import content_digest
from tellfirst.signing.documents import Choice
from tellfirst.signing.kinds import Decision, Grant, decide
from tellfirst.store.decisions import DecisionRecord
from tellfirst.store.exceptions import GRANTED, PENDING, REFUSED, ExceptionRecord

OPEN = (PENDING, GRANTED)
"""What can still be decided: a grant that ceased to hold before it was carried out is given anew."""
CLAIMED_WITHIN = 10.0
"""Seconds in which a worker that runs claims a request."""

Request = Annotated[str, typer.Argument(metavar="REQUEST", help="The id of a request, as `list` shows it.")]

exceptions = typer.Typer(no_args_is_help=True, help="What customers ask for beyond the message.")


@exceptions.command()
def request(
    outreach: Outreach,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id, as imported.")],
    kind: Annotated[str, typer.Argument(metavar="KIND", help="A kind in the playbook, such as refund.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="What it costs, such as 12.50.")],
    id_: Annotated[str, typer.Option("--id", help="Your own id of it: given twice, it counts once.")] = "",
    ticket: Annotated[str, typer.Option("--ticket", help="An opaque reference of your own.")] = "",
    by: Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who asks; default your login.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Ask for an exception in a customer's name.

    Its amount is reserved in the budgets; whoever asks never grants it.
    """
    settings = Settings.load()
    with opened(settings) as here:
        boundary = _boundary(_playbook(here, outreach, here.outreaches.latest_revision(outreach)), kind)
        asked = ExceptionAsked(
            request=id_ or uuid4().hex[:12],
            outreach=outreach,
            customer=customer,
            kind=kind,
            amount_minor=_minor(amount, boundary.currency),
            currency=boundary.currency,
            requester=whoever(by, settings),
            ticket=ticket,
        )
        with_outreaches(lambda client: client.ask(asked))
        end = time.monotonic() + CLAIMED_WITHIN
        while (record := here.exceptions.get(asked.request)) is None and time.monotonic() < end:
            time.sleep(0.1)
        if record is not None and _asked_for(record) != asked:
            raise RefusedError(
                "another request has this id already",
                where=asked.request,
                remedy=f"see `tellfirst exceptions show {asked.request}`, or give another id",
            )
        _print_asked(asked, record, here, as_json=as_json)
    if record is not None and record.status == REFUSED:
        raise typer.Exit(1)


@exceptions.command("list")
def list_(
    outreach: Annotated[str, typer.Option("--outreach", help="Only those of one outreach.")] = "",
    status: Annotated[str, typer.Option("--status", help="Only those that stand so, such as pending.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """List exceptions, oldest first."""
    with opened() as here:
        records = here.exceptions.all(outreach=outreach, status=status)
    if as_json:
        print_json([record.model_dump(mode="json") for record in records])
        return
    if not records:
        say("no such exception was asked for" if outreach or status else "no exception was asked for yet")
        return
    print_table(
        ("request", "asked", "kind", "amount", "customer", "by", "status", "decide by"),
        [
            (r.id, when(r.opened_at), r.kind, _money(r), r.customer_id, r.requester, r.status, when(r.decide_by))
            for r in records
        ],
        numbers=("amount",),
    )


@exceptions.command()
def show(request: Request, as_json: Annotated[bool, Json] = False) -> None:
    """Show an exception.

    What is asked, what granting takes, who decided, and what the customer is answered.
    """
    with opened() as here:
        record, decisions = _record(here, request), here.decisions.received(exception_id(request))
        found = {
            **record.model_dump(mode="json"),
            "decisions": [
                {"decision": d.decision, "approver": d.approver, "accepted": d.accepted, "code": d.code}
                for d in decisions
            ],
        }
        lines = [*_lines(here, record), *map(_decided, decisions)]
    if as_json:
        print_json(found)
        return
    for line in lines:
        say(line)


@exceptions.command()
def approve(
    request: Request,
    key: Key = None,
    principal: As = "",
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Grant an exception, signed with your SSH key.

    The signature binds its amount and the very answer that the customer gets.
    """
    _decide("approve", request, key, principal, "", yes=yes, as_json=as_json)


@exceptions.command()
def deny(
    request: Request,
    reason: Reason,
    key: Key = None,
    principal: As = "",
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Deny an exception.

    What it had reserved is released, and the customer is not written to.
    """
    _decide("reject", request, key, principal, read_reason(reason, most=1_000), yes=yes, as_json=as_json)


def _decide(
    choice: Choice, request: str, key: Path | None, principal: str, reason: str, *, yes: bool, as_json: bool
) -> None:
    settings = Settings.load()
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("there is no terminal to ask on", remedy="look with `exceptions show`, then give --yes")
    with opened(settings) as here:
        record = _record(here, request)
        if record.status not in OPEN:
            raise RefusedError(f"the request is {record.status} already", where=record.id, remedy=record.reason or None)
        grant, rule = _bound(here, record)
        path = choose_key(key, settings)
        who = principal_of(path, principal, settings)
        for line in _lines(here, record):
            (note if yes else say)(line)
        if not yes:
            confirm(f"{choice} as {who}?")

        def document() -> Decision:
            prior = agreement(here, grant, rule).prior(who) if choice == "approve" else ""
            return decide(grant, choice, who, datetime.now(UTC), reason, prior)

        answer, _ = submit(here, exception_id(request), document, path)
    _print_answer(request, answer, as_json=as_json)


def _bound(here: Installation, record: ExceptionRecord) -> tuple[Grant, ApprovalRule]:
    """Returns what is signed, once it is the same as what is shown; and who may."""
    matter = here.matters.get(exception_id(record.id))
    grant = None if matter is None else matter.proposal
    rule = grant_rule(_asked(record), _boundary(_of(here, record), record.kind))
    if not isinstance(grant, Grant) or rule is None:
        raise RefusedError(
            f"the request is {record.status}, there is nothing to decide", where=record.id, remedy=record.reason or None
        )
    text = _answer(here, record)
    kept = (record.id, record.outreach_id, record.customer_id, record.kind, record.amount_minor, record.currency)
    said = (grant.request, grant.outreach, grant.customer, grant.exception, grant.amount_minor, grant.currency)
    if kept != said or grant.answer_digest != ("none" if text is None else content_digest(text)):
        raise RefusedError("what would be signed is not what is shown", where=record.id, remedy="do not sign it")
    return grant, rule


def _lines(here: Installation, record: ExceptionRecord) -> list[str]:
    ticket = f", ticket {record.ticket}" if record.ticket else ""
    lines = [
        f"{record.id}: {record.kind} of {_money(record)} for customer {record.customer_id}, {record.outreach_id}",
        f"asked by {record.requester} on {when(record.opened_at)}{ticket}",
        f"stands: {record.status}{_why(record.code)}",
    ]
    if record.status == REFUSED:
        return [*lines, f"{record.reason}{f'; ask {record.ask}' if record.ask else ''}"]
    rule = grant_rule(_asked(record), _boundary(_of(here, record), record.kind))
    if rule is not None and record.status in OPEN:
        people = "one person" if rule.needed == 1 else "two people"
        lines.append(f"takes {people} with the role {' or '.join(rule.roles)}, by {when(record.decide_by)}")
    text = _answer(here, record)
    if text is None:
        return [*lines, "answer: none, the customer has no channel"]
    return [*lines, *([f"subject: {text.subject}"] if text.subject else []), f"answer: {text.body}"]


def _answer(here: Installation, record: ExceptionRecord) -> Rendered | None:
    if not record.channel:
        return None
    return render_answer(
        _of(here, record),
        record.kind,
        record.channel,  # type: ignore[arg-type]
        record.locale,
        amount_minor=record.amount_minor,
        reference=record.id,
    )


def _of(here: Installation, record: ExceptionRecord) -> Playbook:
    return _playbook(here, record.outreach_id, record.revision)


def _playbook(here: Installation, outreach: str, number: int) -> Playbook:
    revision = here.outreaches.revision(here.outreach(outreach).id, number)
    if revision is None:
        raise RefusedError("nothing is planned yet for this outreach", where=outreach, remedy="try again shortly")
    return parse(revision.playbook_text, "the planned playbook").playbook


def _boundary(playbook: Playbook, kind: str) -> Boundary:
    known = {str(name): boundary for name, boundary in playbook.exceptions.items()}
    if kind not in known:
        told = f"it has {', '.join(known)}" if known else "it has none"
        raise RefusedError(
            f"the playbook has no exceptions of kind '{kind}'",
            where=playbook.id,
            remedy=f"{told}; ask {playbook.owners.accountable}",
        )
    return known[kind]


def _record(here: Installation, request: str) -> ExceptionRecord:
    record = here.exceptions.get(request)
    if record is None:
        raise NotFoundError("there is no request of that id", where=request, remedy="see `tellfirst exceptions list`")
    return record


def _asked(record: ExceptionRecord) -> Asked:
    return Asked(
        kind=record.kind, amount_minor=record.amount_minor, currency=record.currency, requester=record.requester
    )


def _asked_for(record: ExceptionRecord) -> ExceptionAsked:
    return ExceptionAsked(
        request=record.id,
        outreach=record.outreach_id,
        customer=record.customer_id,
        kind=record.kind,
        amount_minor=record.amount_minor,
        currency=record.currency,
        requester=record.requester,
        ticket=record.ticket,
    )


def _minor(amount: str, currency: str) -> int:
    try:
        minor = Decimal(amount) / major(1, currency)
        whole = int(minor)
    except (InvalidOperation, ValueError, OverflowError):
        raise InputError("the amount is not a number", where="AMOUNT", remedy="write it like 12.50") from None
    if minor != whole or not 0 < whole <= 1_000_000_000:
        raise InputError(
            f"the amount is not one of {currency}", where="AMOUNT", remedy="write it like 12.50, with its decimals"
        )
    return whole


def _money(record: ExceptionRecord) -> str:
    return f"{major(record.amount_minor, record.currency)} {record.currency}"


def _decided(one: DecisionRecord) -> str:
    who = f" by {one.approver}" if one.fingerprint else ""
    said = "accepted" if one.accepted else f"refused ({one.code})"
    return f"decision: {one.decision or 'unreadable'}{who}, {said} {when(one.received_at)}"


def _why(code: str) -> str:
    return f" ({code})" if code else ""


def _print_asked(asked: ExceptionAsked, record: ExceptionRecord | None, here: Installation, *, as_json: bool) -> None:
    if as_json:
        left = {"id": asked.request, "status": "left"}
        print_json(left if record is None else record.model_dump(mode="json"))
        return
    if record is None:
        say(f"left: {asked.request}; `tellfirst exceptions show {asked.request}` tells what became of it")
        return
    tell: Callable[[str], None] = note if record.status == REFUSED else say
    for line in _lines(here, record):
        tell(line)


def _print_answer(request: str, answer: DecisionAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json({"request": request, **answer.model_dump(mode="json")})
    if answer.accepted:
        if not as_json:
            said = {"approved": "granted", "pending": "signed"}.get(answer.status, "denied")
            more = f", {answer.approvals} of {answer.needed}; another person must sign too"
            say(f"{said}: {request}, by {answer.approver}{more if answer.status == PENDING else ''}")
        return
    remedy = REMEDIES.get(answer.code, "")
    note(f"refused ({answer.code}): {answer.message}{f'; {remedy}' if remedy and ';' not in answer.message else ''}")
    raise typer.Exit(1)
