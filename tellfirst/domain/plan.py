"""A plan: what one revision of an outreach will do, in counts, digests and deadlines; never an address or a text."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime

from tellfirst.domain.base import Frozen
from tellfirst.domain.message import Channel

INITIAL = "initial"
RESOLVED = "resolved"
"""The ids of the step that opens and of the one that says it is over: later steps look for them in the effect log."""
CORRECTION = "correction"
FREE_UPDATE = "free-update"
UNPLANNED = frozenset({CORRECTION, FREE_UPDATE})
"""The kinds of steps that no playbook plans: each is a revision of its own, its id its kind and a number."""

RevisionStatus = Literal[
    "pending", "approved", "rejected", "expired", "replaced", "changes_requested", "cleared", "aborted"
]
StepKind = Literal["initial", "update", "resolved", "correction", "free-update"]


class PlannedStep(Frozen):
    """Is one step with its instants: `due` is the promise, `act_at` when its preparation begins."""

    id: str
    kind: StepKind
    due: AwareDatetime | None = None
    act_at: AwareDatetime | None = None
    not_after: AwareDatetime

    @property
    def opens(self) -> bool:
        """Returns whether it opens its revision: its very texts then stand in the audience root."""
        return self.kind == INITIAL or self.kind in UNPLANNED


class PageRange(Frozen):
    """Says which pages leave on which channel: `first` and the `count` of pages from there.

    Those of an `alternate` channel are opened only for whom every channel before it has lost.
    """

    channel: Channel
    first: int
    count: int
    alternate: bool = False


class PageSpan(Frozen):
    """Says which pages, over all channels: from `first` up to before `end`."""

    first: int
    end: int


def spans_of(pages: Iterable[int]) -> tuple[PageSpan, ...]:
    """Returns pages as spans, in their order."""
    spans: list[PageSpan] = []
    for page in sorted(set(pages)):
        if spans and spans[-1].end == page:
            spans[-1] = PageSpan(first=spans[-1].first, end=page + 1)
        else:
            spans.append(PageSpan(first=page, end=page + 1))
    return tuple(spans)


class Rung(Frozen):
    """Is one level of an escalation ladder: whom it tells, and how long after the escalation was opened."""

    to: str
    after: timedelta = timedelta(0)


class Plan(Frozen):
    """Is one frozen revision as the workflow sees it."""

    revision: int
    playbook: str
    playbook_version: str = ""  # empty where the workflow has it, for which nothing depends on it
    reason_code: str
    owner: str
    approvers: tuple[str, ...]
    needed: int = 1  # distinct people who must approve
    ladder: tuple[Rung, ...] = ()  # who is told, level by level, while something needs a person
    planned_at: AwareDatetime
    urgent: bool = False  # its pages leave by queues of their own, ahead of campaigns
    recipients: int
    not_told: int = 0
    watched: bool = False  # looking again asks the operational source
    pages: tuple[PageRange, ...]
    canary: int = 0  # so many pages, the first ones, leave before a person lets the others go
    root: str
    remind_at: AwareDatetime
    escalate_at: AwareDatetime
    decide_by: AwareDatetime
    valid_until: AwareDatetime
    steps: tuple[PlannedStep, ...]
    window: timedelta
    watermark_timeout: timedelta
    reconcile_after: timedelta
    fallback_after: timedelta = timedelta(minutes=15)  # how long after a step left what was lost is looked for again
    call_within: timedelta = timedelta(hours=1)  # how long a call may wait for somebody to make it

    @property
    def page_count(self) -> int:
        """Returns how many pages there are, over all channels; those of alternates stand behind them."""
        return sum(pages.count for pages in self.pages if not pages.alternate)

    @property
    def has_alternates(self) -> bool:
        """Returns whether anybody may be told by another channel where one has lost a message."""
        return any(pages.alternate for pages in self.pages)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Returns the channels in the order their pages leave."""
        return tuple(dict.fromkeys(pages.channel for pages in self.pages))

    @property
    def initial(self) -> PlannedStep:
        """Returns the opening step."""
        return self.steps[0]

    @property
    def unplanned(self) -> bool:
        """Returns whether it is a correction or a free update, which nobody is randomised or measured for."""
        return self.initial.kind in UNPLANNED

    @property
    def updates(self) -> tuple[PlannedStep, ...]:
        """Returns the promised steps in the order they fall due."""
        return tuple(step for step in self.steps if step.kind == "update")

    @property
    def resolved(self) -> PlannedStep | None:
        """Returns the step for a cleared condition, if there is one."""
        return next((step for step in self.steps if step.kind == "resolved"), None)
