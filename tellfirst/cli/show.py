"""`pending` and `show`: what waits for a decision, and everything an approver needs to make one."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import AwareDatetime

from tellfirst.cli.agreement import Agreement, agreement
from tellfirst.cli.arguments import Outreach, Revision
from tellfirst.cli.output import Json, counted, length, print_json, print_table, say, status, when
from tellfirst.cli.paused import tell_pause
from tellfirst.cli.picture import picture
from tellfirst.cli.screen import show_picture
from tellfirst.cli.wiring import Installation, opened
from tellfirst.domain.base import Frozen
from tellfirst.playbooks.loader import parse
from tellfirst.policy.approval import ApprovalRule
from tellfirst.signing.kinds import Continue
from tellfirst.signing.rules import continue_rule, rule_for
from tellfirst.store.exceptions import PENDING as ASKED
from tellfirst.store.matters import PENDING
from tellfirst.store.outreaches import RevisionRecord
from tellfirst.store.sending import Sending

AGAIN = 2.0
"""Seconds between two looks at an outreach that is being followed."""


class Waiting(Frozen):
    """Is one decision that is waited for: `outreach` about a revision, `continue` about those behind its first few."""

    kind: str
    outreach: str
    revision: int
    recipients: int
    since: AwareDatetime
    decide_by: AwareDatetime
    agreed: Agreement

    @property
    def who(self) -> str:
        """Returns who decides, and with which command where it is not `approve`."""
        who = self.agreed.words or ", ".join(self.agreed.roles)
        return f"{who} (continue)" if self.kind == "continue" else who


def pending(as_json: Annotated[bool, Json] = False) -> None:
    """List what waits for a decision, the oldest first.

    Outreaches one by one, and how many versions of playbooks, permits and exceptions wait beside them.
    """
    with opened() as here:
        waiting = sorted([*_revisions(here), *_rests(here)], key=lambda one: one.since)
        elsewhere = list(_elsewhere(here))
        tell_pause(here)
    if as_json:
        print_json([_plain(one) for one in waiting])
        return
    if waiting:
        _print_waiting(waiting)
    for line in elsewhere:
        say(line)
    if not waiting and not elsewhere:
        say("nothing waits for a decision")


def _print_waiting(waiting: Sequence[Waiting]) -> None:
    print_table(
        ("outreach", "revision", "recipients", "since", "decide by", "who decides"),
        [
            (
                one.outreach,
                one.revision,
                f"{one.recipients:,}",
                when(one.since.replace(microsecond=0)),
                when(one.decide_by),
                one.who,
            )
            for one in waiting
        ],
        numbers=("revision", "recipients"),
    )
    say(f"{counted(len(waiting), 'decision')} to make; look first: tellfirst show {waiting[0].outreach}")


def show(
    outreach: Outreach,
    revision: Revision = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Wait until no more of it is leaving; a terminal tells rate and time left.")
    ] = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Show one outreach on one screen, with the very texts.

    It tells what an approver needs: why, who and how many, what happens next, what is withheld.
    """
    with opened() as here:
        record = here.outreach(outreach)
        if watch:
            follow(lambda: here.dashboard.sending(outreach, now=datetime.now(UTC)))
            record = here.outreach(outreach)
        seen = picture(here, record, here.revision(record, revision), now=datetime.now(UTC))
    if as_json:
        print_json(seen.model_dump(mode="json"))
    else:
        show_picture(seen)


def follow(sending: Callable[[], Sending | None], *, rest: Callable[[float], None] = time.sleep) -> None:
    """Returns once none of an outreach's messages waits, or nothing leaves while people or a provider stop it."""
    with status() as tell:
        while (seen := sending()) and seen.waiting and not seen.stopped:
            tell(seen.words(length))
            rest(AGAIN)


def _revisions(here: Installation) -> Iterator[Waiting]:
    for one in here.outreaches.pending():
        yield Waiting(
            kind="outreach",
            outreach=one.outreach,
            revision=one.number,
            recipients=one.plan.recipients,
            since=one.plan.planned_at,
            decide_by=one.plan.decide_by,
            agreed=agreement(here, one.proposal, _rule(one), one.number),
        )


def _rests(here: Installation) -> Iterator[Waiting]:
    for matter in here.matters.of_kind("continue", PENDING):
        asked = matter.proposal
        if not isinstance(asked, Continue) or here.outreach(asked.outreach).closed_at is not None:
            continue
        if one := here.outreaches.revision(asked.outreach, asked.revision):
            playbook = parse(one.playbook_text, "the planned playbook").playbook
            yield Waiting(
                kind="continue",
                outreach=asked.outreach,
                revision=asked.revision,
                recipients=asked.rest,
                since=matter.opened_at,
                decide_by=asked.decide_by,
                agreed=agreement(here, asked, continue_rule(playbook, one.proposal)),
            )


def _elsewhere(here: Installation) -> Iterator[str]:
    """Yields how many other decisions wait, each with the command that lists them."""
    for count, one, many, command in (
        (len(here.matters.of_kind("library", PENDING)), "playbook version", "playbook versions", "playbooks history"),
        (len(here.matters.of_kind("permit", PENDING)), "permit", "permits", "permits list"),
        (len(here.exceptions.all(status=ASKED)), "exception", "exceptions", f"exceptions list --status {ASKED}"),
    ):
        if count:
            yield f"{counted(count, one, many)} {'waits' if count == 1 else 'wait'} for a decision: tellfirst {command}"


def _rule(revision: RevisionRecord) -> ApprovalRule:
    return rule_for(parse(revision.playbook_text, "the planned playbook").playbook, revision.proposal)


def _plain(one: Waiting) -> dict[str, object]:
    return {
        **one.model_dump(mode="json", exclude={"agreed", "since", "decide_by"}),
        "since": one.since.isoformat(),
        "decide_by": one.decide_by.isoformat(),
        "roles": list(one.agreed.roles),
        "approved_by": list(one.agreed.approvers),
        "needed": one.agreed.needed,
    }
