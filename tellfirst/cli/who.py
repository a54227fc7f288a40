"""`who`: by reference, who received a step, who may have, and how many did not."""

from collections import Counter
from typing import Annotated

import typer

from tellfirst.cli.arguments import Outreach
from tellfirst.cli.output import Json, print_json, print_table, say, when
from tellfirst.cli.screen import WORDS
from tellfirst.cli.wiring import opened
from tellfirst.domain.message import SendState
from tellfirst.domain.plan import INITIAL
from tellfirst.errors import NotFoundError
from tellfirst.store.opening import RECEIVED
from tellfirst.store.receivers import StepSend

MAY_HAVE = (SendState.UNKNOWN, SendState.INTENT)
"""States of a message of which nobody knows whether it arrived."""


def who(
    outreach: Outreach,
    step: Annotated[str, typer.Option("--step", help="The step, as `tellfirst show` names it.")] = INITIAL,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """List by reference who received a step.

    A correction goes to exactly these; who may have received it stands apart.
    """
    with opened() as here:
        here.outreach(outreach)
        sends = [send for some in here.receivers.sends(outreach, step) for send in some]
        if not sends:
            known = ", ".join(here.receivers.steps(outreach)) or "nothing was sent yet"
            raise NotFoundError(f"nothing of step '{step}' was sent", where=outreach, remedy=f"known: {known}")
    received = [send for send in sends if send.state in RECEIVED]
    unknown = [send for send in sends if send.state in MAY_HAVE]
    counts = Counter(f"{send.state} ({send.reason})" if send.reason else str(send.state) for send in sends)
    if as_json:
        print_json(
            {
                "outreach": outreach,
                "step": step,
                "counts": dict(sorted(counts.items())),
                "received": [_plain(send) for send in received],
                "unknown": [_plain(send) for send in unknown],
            }
        )
        return
    others = len(sends) - len(received) - len(unknown)
    say(f"{len(received):,} received '{step}', {len(unknown):,} may have, {others:,} did not")
    say(", ".join(f"{count:,} {_worded(state)}" for state, count in sorted(counts.items())))
    _print("received it", received)
    _print("may have received it: settle these before they are told anything else", unknown)


def _print(title: str, sends: list[StepSend]) -> None:
    if sends:
        say("")
        say(f"{title}:")
        rows = [(s.customer, s.subject_key, s.revision, s.channel, s.state, when(s.at)) for s in sends]
        print_table(("customer", "subject", "revision", "channel", "state", "when"), rows, numbers=("revision",))


def _plain(send: StepSend) -> dict[str, object]:
    return {**send.model_dump(mode="json", exclude={"subject_key", "reason"}), "subject": send.subject_key}


def _worded(state: str) -> str:
    name, _, reason = state.rstrip(")").partition(" (")
    return f"{name} ({WORDS.get(reason, reason)})" if reason else name
