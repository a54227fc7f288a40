"""`permits`: outreaches permitted in advance, proposed, listed, looked at, approved, rejected and revoked."""

import secrets
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from tellfirst.cli.arguments import Reason, read_reason
from tellfirst.cli.decide import REMEDIES, As, Key, Yes
from tellfirst.cli.instants import read_instant
from tellfirst.cli.output import Json, confirm, counted, note, print_json, print_table, say, when
from tellfirst.cli.owners import known_person
from tellfirst.cli.ssh_key import choose_key, principal_of
from tellfirst.cli.submitting import submit
from tellfirst.cli.wiring import Installation, find_playbook, opened, read_library, whoever, with_outreaches
from tellfirst.contract import PermitProposal, permit_id
from tellfirst.errors import InputError, NotFoundError, RefusedError
from tellfirst.settings import Settings
from tellfirst.signing.documents import Choice
from tellfirst.signing.kinds import Decision, Permit, decide
from tellfirst.signing.permits import Used
from tellfirst.store.matters import APPROVED, PENDING, REVOKED, MatterRecord

permits = typer.Typer(help="Outreaches that are permitted in advance.", no_args_is_help=True)

OPENED_WITHIN = 10.0
"""Seconds in which a worker that runs opens a permit."""

Name = Annotated[str, typer.Argument(metavar="PERMIT", help="The name of a permit, as `permits list` has it.")]


@permits.command()
def propose(
    playbook: Annotated[str, typer.Argument(metavar="PLAYBOOK", help="The id of an installed playbook.")],
    per_outreach: Annotated[
        int | None, typer.Option(help="Recipients of one outreach at most; default what the playbook lets be.")
    ] = None,
    in_all: Annotated[int | None, typer.Option(help="Recipients in all; default what the playbook lets be.")] = None,
    until: Annotated[
        str, typer.Option(metavar="ISO8601", help="When it ends; default as late as the playbook lets be.")
    ] = "",
    cost: Annotated[
        str,
        typer.Option(metavar="AMOUNT CURRENCY", help="What they may cost in all, like '250 EUR'."),
    ] = "",
    by: Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who proposes it; default your login.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Propose that outreaches of a playbook are permitted in advance.

    It waits for one of the roles that the playbook names for that, one level up.
    """
    settings = Settings.load()
    standing = find_playbook(read_library(settings), playbook).playbook.approval.standing
    if standing is None:
        raise RefusedError(
            "the playbook lets nothing be permitted in advance", where=playbook, remedy="give it [approval.standing]"
        )
    micros, currency = _cost(cost)
    proposer = whoever(by, settings)
    known_person(proposer, settings)
    proposal = PermitProposal(
        playbook=playbook,
        proposer=proposer,
        per_outreach=_positive(per_outreach, "--per-outreach"),
        in_all=_positive(in_all, "--in-all"),
        valid_until=read_instant(until, "--until") if until else None,
        cost_micros=micros,
        currency=currency,
    )
    about = permit_id(f"{playbook}-{secrets.token_hex(3)}")
    with opened(settings) as here:
        with_outreaches(lambda client: client.propose_permit(proposal, about))
        record = _opened(here, about)
    if as_json:
        print_json({"permit": about.partition("/")[2], "status": record.status if record else ""})
    elif record is None:
        say(f"left: {about.partition('/')[2]}; it can be decided once a worker has opened it")
    else:
        permit = permit_of(record)
        say(f"proposed: {permit.permit}; waits for {' or '.join(standing.approvers)} until {when(permit.decide_by)}")


@permits.command("list")
def list_(as_json: Annotated[bool, Json] = False) -> None:
    """List the permits, with how much of each is used."""
    with opened() as here:
        rows = [(record, here.permits.used(record.about)) for record in here.matters.of_kind("permit")]
    now = datetime.now(UTC)
    if as_json:
        print_json([_document(record, used, now) for record, used in rows])
        return
    if not rows:
        say("nothing is permitted in advance, and nobody has asked")
        return
    print_table(
        ("permit", "playbook", "stands", "an outreach", "used", "cost", "until"),
        [
            (
                permit_of(record).permit,
                permit_of(record).playbook,
                _standing(record, now),
                f"{permit_of(record).per_outreach:,}",
                f"{used.in_all:,} of {permit_of(record).in_all:,}",
                _spent(permit_of(record), used),
                when(permit_of(record).valid_until),
            )
            for record, used in rows
        ],
        numbers=("an outreach", "used"),
    )


@permits.command()
def show(name: Name, as_json: Annotated[bool, Json] = False) -> None:
    """Show a permit.

    What it covers, who decided, and which outreaches took from it.
    """
    with opened() as here:
        record = _find(here, name)
        uses = here.permits.uses(record.about)
        used = here.permits.used(record.about)
        decisions = here.decisions.received(record.about)
    now = datetime.now(UTC)
    if as_json:
        taken = [use.model_dump(mode="json", include={"outreach", "revision", "recipients", "at"}) for use in uses]
        decided = [d.model_dump(mode="json", include={"decision", "approver", "accepted", "code"}) for d in decisions]
        print_json({**_document(record, used, now), "decisions": decided, "uses": taken})
        return
    for line in _lines(record, used, now):
        say(line)
    for one in decisions:
        said = "accepted" if one.accepted else f"refused ({one.code})"
        say(f"decision: {one.decision} by {one.approver}, {said} {when(one.received_at)}")
    if uses:
        print_table(
            ("taken", "outreach", "revision", "recipients"),
            [(when(use.at), use.outreach, use.revision, f"{use.recipients:,}") for use in uses],
            numbers=("revision", "recipients"),
        )


@permits.command()
def approve(
    name: Name, key: Key = None, principal: As = "", yes: Yes = False, as_json: Annotated[bool, Json] = False
) -> None:
    """Permit outreaches in advance, signed with your SSH key.

    The signature binds the playbook's version, the channels, how many people, what it may cost, and until when.
    """
    _decide("approve", name, key, principal, "", yes=yes, as_json=as_json)


@permits.command()
def reject(
    name: Name,
    reason: Reason,
    key: Key = None,
    principal: As = "",
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Reject a permit: each outreach waits for its own decision."""
    _decide("reject", name, key, principal, read_reason(reason, most=1_000), yes=yes, as_json=as_json)


@permits.command()
def revoke(
    name: Name,
    by: Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who does it; default your login.")] = "",
) -> None:
    """Take a permit back.

    Whatever has not left under it waits for people. Anybody may, for it only stops messages; it holds from the next
    few messages on, and for good.
    """
    settings = Settings.load()
    with opened(settings) as here:
        record = _find(here, name)
        if not here.matters.set_status(
            record.about, REVOKED, at=datetime.now(UTC), only=(APPROVED,), by=whoever(by, settings)
        ):
            remedy = "reject it instead" if record.status == PENDING else ""
            raise RefusedError(f"the permit is {record.status}", where=name, remedy=remedy)
    say(f"revoked: {permit_of(record).permit}; nothing more leaves under it")


def permit_of(record: MatterRecord) -> Permit:
    """Returns what a matter of kind permit proposes."""
    if not isinstance(record.proposal, Permit):
        raise RefusedError("what is kept is no permit", where=record.about)
    return record.proposal


def _decide(
    choice: Choice, name: str, key: Path | None, principal: str, reason: str, *, yes: bool, as_json: bool
) -> None:
    settings = Settings.load()
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("there is no terminal to ask on", remedy="look with `tellfirst permits show`, then give --yes")
    with opened(settings) as here:
        record = _find(here, name)
        permit = permit_of(record)
        path = choose_key(key, settings)
        who = principal_of(path, principal, settings)
        if not yes:
            for line in _lines(record, here.permits.used(record.about), datetime.now(UTC)):
                say(line)
        summary = (
            f"{choice} as {who}: {permit.playbook} without a further decision, {permit.per_outreach:,} recipients an "
            f"outreach and {permit.in_all:,} in all{_bound(permit)}, until {when(permit.valid_until)}, in environment "
            f"{permit.environment}"
        )
        if yes:
            note(summary)
        else:
            confirm(f"{summary}?")

        def document() -> Decision:
            return decide(permit, choice, who, datetime.now(UTC), reason)

        answer, _ = submit(here, record.about, document, path)
    if as_json:
        print_json({"permit": permit.permit, **answer.model_dump(mode="json", exclude={"revision"})})
    elif answer.accepted:
        say(f"{answer.status}: {permit.permit}, by {answer.approver}")
    if not answer.accepted:
        remedy = REMEDIES.get(answer.code, "")
        note(
            f"refused ({answer.code}): {answer.message}{f'; {remedy}' if remedy and ';' not in answer.message else ''}"
        )
        raise typer.Exit(1)


def _opened(here: Installation, about: str) -> MatterRecord | None:
    end = time.monotonic() + OPENED_WITHIN
    while time.monotonic() < end:
        if (record := here.matters.get(about)) is not None:
            return record
        if ended := with_outreaches(lambda client: client.ended(about)):
            remedy = "`tellfirst playbooks show` and `tellfirst playbooks history` tell what may be permitted"
            raise RefusedError(ended.removeprefix("refused: "), remedy=remedy)
        time.sleep(0.1)
    return None


def _find(here: Installation, name: str) -> MatterRecord:
    record = here.matters.get(name if name.startswith("permit/") else permit_id(name))
    if record is None:
        raise NotFoundError("there is no permit of that name", where=name, remedy="see `tellfirst permits list`")
    return record


def _lines(record: MatterRecord, used: Used, now: datetime) -> Iterator[str]:
    permit = permit_of(record)
    yield f"permit {permit.permit}: {_standing(record, now)}; proposed by {record.proposer} {when(record.opened_at)}"
    yield f"covers {permit.playbook}, version {permit.playbook_version[:12]}, by {', '.join(permit.channels)}"
    yield (
        f"{permit.per_outreach:,} recipients an outreach, {used.in_all:,} of {permit.in_all:,} used{_bound(permit)}, "
        f"until {when(permit.valid_until)}"
    )
    if record.status == PENDING:
        yield f"decide by {when(permit.decide_by)}; silence is not consent"


def _standing(record: MatterRecord, now: datetime) -> str:
    return "ended" if record.status == APPROVED and now > permit_of(record).valid_until else record.status


def _bound(permit: Permit) -> str:
    if not permit.currency:
        return ""
    return f", {Decimal(permit.cost_micros) / 1_000_000:,.2f} {permit.currency} at most"


def _spent(permit: Permit, used: Used) -> str:
    if not permit.currency:
        return "not bounded"
    spent, most = (Decimal(micros) / 1_000_000 for micros in (used.cost_micros, permit.cost_micros))
    return f"{spent:,.2f} of {most:,.2f} {permit.currency}"


def _document(record: MatterRecord, used: Used, now: datetime) -> dict[str, object]:
    return {
        **permit_of(record).document(),
        "stands": _standing(record, now),
        "opened_at": record.opened_at.isoformat(),
        "used": used.in_all,
        "used_cost_micros": used.cost_micros,
    }


def _cost(text: str) -> tuple[int, str]:
    if not text:
        return 0, ""
    amount, _, currency = text.partition(" ")
    try:
        micros = int(Decimal(amount) * 1_000_000)
    except (InvalidOperation, ValueError, OverflowError):
        micros = -1
    if not 0 < micros < 2**53 or not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise InputError("a cost is an amount and a currency like '250 EUR'", where="--cost")
    return micros, currency


def _positive(number: int | None, where: str) -> int | None:
    if number is not None and number < 1:
        raise InputError(f"a number of recipients is 1 or more, not {counted(number, 'recipient')}", where=where)
    return number
