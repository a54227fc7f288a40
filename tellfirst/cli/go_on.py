"""`continue`: a person looks at what became of the first few, and signs whether the others are told too."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from tellfirst.cli.agreement import agreement
from tellfirst.cli.arguments import Outreach, Revision, read_reason
from tellfirst.cli.decide import REMEDIES, As, Key, Yes
from tellfirst.cli.output import Json, confirm, counted, note, print_json, say
from tellfirst.cli.rest import bound_rest, rest_of
from tellfirst.cli.ssh_key import choose_key, principal_of
from tellfirst.cli.submitting import submit
from tellfirst.cli.wiring import Installation, opened
from tellfirst.contract import DecisionAnswer
from tellfirst.domain.plan import CORRECTION
from tellfirst.errors import InputError
from tellfirst.playbooks.loader import parse
from tellfirst.signing.kinds import Continue, Decision, decide
from tellfirst.signing.rules import continue_rule
from tellfirst.store.outreaches import RevisionRecord


def continue_(
    outreach: Outreach,
    reject: Annotated[
        bool, typer.Option("--reject", help="Leave it at the first few: the others stay untold.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why they stay untold; 1 to 1,000 characters.")] = "",
    revision: Revision = None,
    key: Key = None,
    principal: As = "",
    yes: Yes = False,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Let the others be told, after the first few.

    Signed with your SSH key. Shows what became of the first few. With --reject the others stay untold for good.
    """
    if reject:
        reason = read_reason(reason, most=1_000)
    elif reason:
        raise InputError("a reason is given for a rejection alone", where="--reason", remedy="give --reject too")
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("there is no terminal to ask on", remedy="look with `tellfirst show`, then give --yes")
    with opened() as here:
        planned, asked = bound_rest(here, here.outreach(outreach), revision)
        path = choose_key(key, here.settings)
        who = principal_of(path, principal, here.settings)
        rule = continue_rule(parse(planned.playbook_text, "the planned playbook").playbook, planned.proposal)
        stands = rest_of(here, planned)
        for name, value in stands.lines(planned.plan.reason_code) if stands else ():
            (note if yes else say)(f"{name:<10} {value}")
        if not reject and (corrections := _corrections(here, planned)):
            note(
                f"what the first few read is being corrected (revision {', '.join(map(str, corrections))}): the others "
                "still get it uncorrected, and the correction does not reach them; --reject leaves them untold"
            )
        choice = "leave untold" if reject else "continue"
        summary = f"{choice} as {who}: the other {counted(asked.rest, 'recipient')} of {outreach}"
        if yes:
            note(summary)
        else:
            confirm(f"{summary}?")

        def document() -> Decision:
            if reject:
                return decide(asked, "reject", who, datetime.now(UTC), reason)
            return decide(asked, "approve", who, datetime.now(UTC), "", agreement(here, asked, rule).prior(who))

        answer, _ = submit(here, outreach, document, path)
    _print_answer(outreach, asked, answer, as_json=as_json)


def _corrections(here: Installation, planned: RevisionRecord) -> list[int]:
    """Returns the revisions that correct what this one told, or may yet."""
    return [
        revision.number
        for number in range(planned.number + 1, here.outreaches.latest_revision(planned.outreach) + 1)
        if (revision := here.outreaches.revision(planned.outreach, number)) is not None
        and revision.plan.initial.kind == CORRECTION
        and revision.status in ("pending", "approved")
    ]


def _print_answer(outreach: str, asked: Continue, answer: DecisionAnswer, *, as_json: bool) -> None:
    if as_json:
        counts = {"sent": asked.sent, "rest": asked.rest}
        print_json({"outreach": outreach, **answer.model_dump(mode="json"), **counts})
    if answer.accepted:
        if not as_json:
            said = "continued" if answer.decision == "approve" else "left at the first few"
            told = "told now" if answer.decision == "approve" else "not told"
            others = counted(asked.rest, "other recipient")
            say(f"{said}: revision {answer.revision} of {outreach}, by {answer.approver}; {others} {told}")
        return
    remedy = REMEDIES.get(answer.code, "")
    note(f"refused ({answer.code}): {answer.message}{f'; {remedy}' if remedy and ';' not in answer.message else ''}")
    raise typer.Exit(1)
