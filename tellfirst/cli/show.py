"""`pending` and `show`: what waits for a decision, and everything an approver needs to make one."""

from typing import Annotated

from tellfirst.cli.agreement import Agreement, agreement
from tellfirst.cli.arguments import Outreach, Revision
from tellfirst.cli.output import Json, counted, print_json, print_table, say, when
from tellfirst.cli.picture import picture
from tellfirst.cli.screen import show_picture
from tellfirst.cli.wiring import Installation, opened
from tellfirst.playbooks.loader import parse
from tellfirst.signing.rules import rule_for
from tellfirst.store.outreaches import RevisionRecord


def pending(as_json: Annotated[bool, Json] = False) -> None:
    """List what waits for a decision, the oldest first."""
    with opened() as here:
        waiting = [(one, _agreed(here, one)) for one in here.outreaches.pending()]
    if as_json:
        print_json(
            [
                {
                    "outreach": one.outreach,
                    "revision": one.number,
                    "recipients": one.plan.recipients,
                    "since": one.plan.planned_at.isoformat(),
                    "decide_by": one.plan.decide_by.isoformat(),
                    "roles": list(one.plan.approvers),
                    "approved_by": list(agreed.approvers),
                    "needed": agreed.needed,
                }
                for one, agreed in waiting
            ]
        )
        return
    if not waiting:
        say("nothing waits for a decision")
        return
    print_table(
        ("outreach", "revision", "recipients", "since", "decide by", "who decides"),
        [
            (
                one.outreach,
                one.number,
                f"{one.plan.recipients:,}",
                when(one.plan.planned_at.replace(microsecond=0)),
                when(one.plan.decide_by),
                agreed.words or ", ".join(one.plan.approvers),
            )
            for one, agreed in waiting
        ],
        numbers=("revision", "recipients"),
    )
    say(f"{counted(len(waiting), 'decision')} to make; look first: tellfirst show {waiting[0][0].outreach}")


def show(
    outreach: Outreach,
    revision: Revision = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Show one outreach on one screen, with the very texts.

    It tells what an approver needs: why, who and how many, what happens next, what is withheld.
    """
    with opened() as here:
        record = here.outreach(outreach)
        seen = picture(here, record, here.revision(record, revision))
    if as_json:
        print_json(seen.model_dump(mode="json"))
    else:
        show_picture(seen)


def _agreed(here: Installation, revision: RevisionRecord) -> Agreement:
    playbook = parse(revision.playbook_text, "the planned playbook").playbook
    return agreement(here, revision.proposal, rule_for(playbook, revision.proposal), revision.number)
