"""`playbooks diff|propose|approve|reject|withdraw|history`: how a version of a playbook comes to go live."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tellfirst.cli.agreement import agreement
from tellfirst.cli.arguments import Reason, read_reason
from tellfirst.cli.decide import REMEDIES, As, Key, Yes
from tellfirst.cli.library_change import (
    bound_playbook,
    change_document,
    change_of,
    difference_to,
    find_change,
    given_playbook,
    is_agreed,
    live_version,
)
from tellfirst.cli.output import Json, confirm, note, print_json, print_table, put, say, shown, visible, when
from tellfirst.cli.owners import registered
from tellfirst.cli.ssh_key import choose_key, principal_of
from tellfirst.cli.submitting import submit
from tellfirst.cli.wiring import Installation, opened, whoever, with_outreaches
from tellfirst.contract import DecisionAnswer, LibraryProposal, library_id
from tellfirst.errors import InputError, RefusedError
from tellfirst.playbooks.loader import LoadedPlaybook
from tellfirst.settings import Settings
from tellfirst.signing.documents import Choice
from tellfirst.signing.kinds import LibraryChange, LibraryDecision, decide
from tellfirst.signing.rules import library_rule, may_not_propose
from tellfirst.store.matters import APPROVED, EXPIRED, PENDING, REJECTED, REVOKED, MatterRecord

OPENED_WITHIN = 10.0
"""Seconds in which a worker that runs opens a change."""

Source = Annotated[str, typer.Argument(metavar="FILE|ID", help="A playbook's file, or the id of an installed one.")]
Change = Annotated[str, typer.Argument(metavar="ID|VERSION", help="A playbook's id, or the start of a version.")]


def diff(source: Source, as_json: Annotated[bool, Json] = False) -> None:
    """Show what a playbook changes against the version that is live."""
    settings = Settings.load()
    loaded = given_playbook(source, settings)
    with opened(settings) as here:
        live = live_version(here, loaded.playbook.id, besides=loaded.version)
        lines, changed = difference_to(here, loaded, live)
    if as_json:
        found = {"playbook": loaded.playbook.id, "version": loaded.version, "live": live}
        print_json({**found, "data_changed": changed, "diff": lines})
        return
    _show_difference(loaded, live, lines, changed=changed)


def propose(
    source: Source,
    by: Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who proposes it; default your login.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Propose that a playbook's version goes live.

    It waits for a library approver, and for the privacy owner too when its data changed.
    """
    settings = Settings.load()
    loaded = given_playbook(source, settings)
    change = library_id(loaded.playbook.id, loaded.version)
    proposal = LibraryProposal(text=loaded.text, proposer=whoever(by, settings))
    registry = registered(settings)
    if registry is not None and (why := may_not_propose(proposal.proposer, loaded.playbook, registry)):
        raise RefusedError(why, where=change, remedy="give a proposer of it with --as; `tellfirst keys list` has them")
    with opened(settings) as here:
        known = here.matters.get(change)
        if known is not None and known.status == REJECTED:
            raise RefusedError("this version was rejected", where=change, remedy="change its text and propose that")
        if known is not None and known.status not in (PENDING, EXPIRED, REVOKED):
            record: MatterRecord | None = known
        else:
            with_outreaches(lambda client: client.propose(proposal, change))
            record = _opened(here, change, known)
    if as_json:
        status = record.status if record else ""
        print_json({"change": change, "status": status, "version": loaded.version})
    elif record is None:
        say(f"left: {change}; it can be decided once a worker has opened it")
    elif record.status != PENDING:
        anew = "; to have it signed anew, withdraw it first" if record.status == APPROVED else ""
        say(f"{change} is {record.status} already{anew}")
    else:
        bound = change_of(record)
        roles = " and ".join(library_rule(bound).roles)
        say(f"proposed: {change}; waits for {roles} until {when(bound.decide_by)}")


def approve(
    name: Change,
    answers: Annotated[
        list[str] | None, typer.Option("--answer", help="The answer to a point of the checklist, in their order.")
    ] = None,
    key: Key = None,
    principal: As = "",
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Let a playbook's version go live, signed with your SSH key.

    Shows what it changes and asks each point of its checklist; the answers are signed too.
    """
    _decide("approve", name, tuple(answers or ()), key, principal, "", yes=yes, as_json=as_json)


def reject(
    name: Change,
    reason: Reason,
    key: Key = None,
    principal: As = "",
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Reject a playbook's version: it does not go live."""
    reason = read_reason(reason, most=1_000)
    _decide("reject", name, (), key, principal, reason, yes=yes, as_json=as_json)


def withdraw(
    name: Change,
    by: Annotated[str, typer.Option("--as", metavar="PRINCIPAL", help="Who does it; default your login.")] = "",
) -> None:
    """Take a live version back.

    Nothing more is planned or sent from it. One person may; to go live again it is proposed and approved anew.
    """
    settings = Settings.load()
    with opened(settings) as here:
        record = find_change(here, name, APPROVED)
        here.matters.set_status(record.about, REVOKED, at=datetime.now(UTC), only=(APPROVED,), by=whoever(by, settings))
    say(f"withdrawn: {record.about}; nothing more leaves from it where live versions are demanded")


def history(
    name: Annotated[str, typer.Argument(metavar="[ID]", help="A playbook's id; default all.")] = "",
    as_json: Annotated[bool, Json] = False,
) -> None:
    """List the versions that were proposed, with who decided what."""
    with opened() as here:
        rows = [
            (record, change_of(record), here.decisions.received(record.about))
            for record in here.matters.of_kind("library")
            if not name or change_of(record).playbook == name
        ]
        agreed = {record.about for record, *_ in rows if is_agreed(here, record)}
    if as_json:
        print_json([change_document(*row) for row in rows])
        return
    if not rows:
        say(f"no version {f'of {name} ' if name else ''}was proposed yet; `tellfirst playbooks propose` does that")
        return
    print_table(
        ("proposed", "playbook", "version", "status", "by", "data", "decided by"),
        [
            (
                when(record.opened_at),
                change.playbook,
                change.playbook_version[:12],
                _standing(record, agreed=record.about in agreed),
                record.proposer,
                "changed" if change.data_changed else "as before",
                ", ".join(f"{d.approver} ({d.decision})" for d in decisions if d.accepted) or "-",
            )
            for record, change, decisions in rows
        ],
    )


def _standing(record: MatterRecord, *, agreed: bool) -> str:
    return "approved, but a signature no longer holds" if record.status == APPROVED and not agreed else record.status


def _decide(
    choice: Choice,
    name: str,
    answers: tuple[str, ...],
    key: Path | None,
    principal: str,
    reason: str,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    settings = Settings.load()
    asked = sys.stdin.isatty() and sys.stdout.isatty()
    if not yes and not asked:
        raise InputError(
            "there is no terminal to ask on", remedy="look with `tellfirst playbooks diff`, then give --yes"
        )
    with opened(settings) as here:
        record = find_change(here, name, PENDING)
        change = change_of(record)
        loaded = bound_playbook(here, change)
        path = choose_key(key, settings)
        who = principal_of(path, principal, settings)
        if not yes:
            lines, changed = difference_to(here, loaded, change.replaces)
            _show_difference(loaded, change.replaces, lines, changed=changed)
        if choice == "approve":
            answers = _answers(change, answers, ask=asked and not yes)
        summary = (
            f"{choice} as {who}: {change.playbook}, version {change.playbook_version[:12]}, "
            f"goes live in environment {change.environment}"
        )
        if yes:
            note(summary)
        else:
            confirm(f"{summary}?")

        def document() -> LibraryDecision:
            prior = agreement(here, change, library_rule(change)).prior(who) if choice == "approve" else ""
            decided = decide(change, choice, who, datetime.now(UTC), reason, prior, answers=answers)
            assert isinstance(decided, LibraryDecision)  # noqa: S101 - by its kind
            return decided

        answer, _ = submit(here, record.about, document, path)
    _print_answer(record.about, change, answer, as_json=as_json)


def _answers(change: LibraryChange, given: tuple[str, ...], *, ask: bool) -> tuple[str, ...]:
    answers = [text.strip() for text in given]
    for point in change.checklist[len(answers) :]:
        if not ask:
            raise InputError(
                f"the checklist asks: {point}",
                where="--answer",
                remedy=f"give {len(change.checklist)} answers, one --answer for each point",
            )
        answers.append(str(typer.prompt(visible(point))).strip())
    if len(answers) != len(change.checklist) or not all(1 <= len(text) <= 300 for text in answers):
        raise InputError(
            f"the checklist has {len(change.checklist)} points, each with an answer of 1 to 300 characters",
            where="--answer",
        )
    return tuple(answers)


def _opened(here: Installation, change: str, known: MatterRecord | None) -> MatterRecord | None:
    end = time.monotonic() + OPENED_WITHIN
    while time.monotonic() < end:
        record = here.matters.get(change)
        if record is not None and (record != known or record.status == PENDING):
            return record
        time.sleep(0.1)
    return None


def _show_difference(loaded: LoadedPlaybook, live: str, lines: list[str], *, changed: bool) -> None:
    against = f"against version {live[:12]}" if live else "no other version is live"
    put(shown(f"{loaded.playbook.id}, version {loaded.version[:12]}, {against}", "bold"))
    for line in lines:
        say(line)
    if not lines:
        say("nothing changes")
    say("the privacy owner must agree too: its data fields change" if changed else "its data fields are as before")


def _print_answer(about: str, change: LibraryChange, answer: DecisionAnswer, *, as_json: bool) -> None:
    if as_json:
        print_json({"change": about, **answer.model_dump(mode="json", exclude={"revision"})})
    if answer.accepted:
        if as_json:
            return
        if answer.status == PENDING:
            roles = " and ".join(library_rule(change).roles)
            say(f"approved by {answer.approver}: {about}; another person must agree too ({roles}, one each)")
        else:
            say(f"{answer.status}: {about}, by {answer.approver}")
        return
    remedy = REMEDIES.get(answer.code, "")
    note(f"refused ({answer.code}): {answer.message}{f'; {remedy}' if remedy and ';' not in answer.message else ''}")
    raise typer.Exit(1)
