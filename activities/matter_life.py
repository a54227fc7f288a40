"""The life of a matter: opened, judged, left to lapse; what differs between kinds is one small class for each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime

from pydantic import AwareDatetime
from temporalio import activity

from activities.clock import AttemptClock
from activities.failures import told_plainly
from activities.matters import MatterApprovals
from tellfirst.contract import DecisionAnswer
from tellfirst.domain.base import Frozen
from tellfirst.domain.plan import Rung
from tellfirst.policy.approval import ApprovalRule
from tellfirst.store.decisions import Effect
from tellfirst.store.matters import APPROVED, EXPIRED, PENDING, MatterRecord, Matters


class OpenMatterRequest(Frozen):
    """Asks to open a matter; `about` is the workflow that waits for it, `given` the JSON it was started with."""

    about: str
    given: object = None


class OpenedMatter(Frozen):
    """Is how a matter stands: its status, or why it is refused; whom it waits for, until when, and in which words.

    `ladder` says who is told when it is overdue, where that is not simply who decides; `question` goes
    on "whether …", `otherwise` says what is when nobody decides, `how` what to run.
    """

    status: str
    reason: str = ""
    question: str = ""
    otherwise: str = ""
    how: str = ""
    playbook: str = ""
    owner: str = ""
    roles: tuple[str, ...] = ()
    ladder: tuple[Rung, ...] = ()
    remind_at: AwareDatetime | None = None
    escalate_at: AwareDatetime | None = None
    decide_by: AwareDatetime | None = None


class ReceivedMatterDecision(Frozen):
    """Is a decision about a matter as it came in, `raw` being its JSON; None when it was no JSON at all."""

    about: str
    raw: object = None


class ExpireMatterRequest(Frozen):
    """Asks to let a matter lapse that nobody decided in time."""

    about: str
    only_overtaken: bool = False


class MatterKind(ABC):
    """Is what one kind of matter knows: how it is opened, who decides, and when it has been overtaken."""

    @abstractmethod
    def open(self, about: str, given: object, now: datetime) -> OpenedMatter:
        """Opens the matter that `given` proposes and returns how it stands; one that waits or is decided stays."""

    @abstractmethod
    def rule(self, matter: MatterRecord) -> ApprovalRule:
        """Returns what its approval takes."""

    def overtaken(self, matter: MatterRecord, now: datetime) -> str:
        """Returns why it can no longer be decided as it was proposed; empty when it can."""
        return ""

    def effect(self, matter: MatterRecord, now: datetime) -> Effect | None:
        """Returns what an approval brings about in its own transaction."""
        return None

    def approved(self, matter: MatterRecord, now: datetime) -> None:
        """Does what an approval brings about at once; asked again, it does it no second time."""
        return


class MatterActivities:
    """Opens matters, judges what is decided about them, and lets them lapse.

    `kinds` are found by the first part of a matter's name.
    """

    def __init__(self, *, matters: Matters, approvals: MatterApprovals, kinds: Mapping[str, MatterKind]) -> None:
        self._matters, self._approvals, self._kinds = matters, approvals, kinds

    @activity.defn(no_thread_cancel_exception=True)
    def open_matter(self, request: OpenMatterRequest) -> OpenedMatter:
        """Opens a matter; one that is open or decided stays as it is."""
        with told_plainly():
            kind = self._kinds.get(request.about.partition("/")[0])
            if kind is None:
                return OpenedMatter(status="refused", reason="the workflow's id names no kind of matter")
            return kind.open(request.about, request.given, AttemptClock().now())

    @activity.defn(no_thread_cancel_exception=True)
    def receive_matter_decision(self, received: ReceivedMatterDecision) -> DecisionAnswer:
        """Answers whether the decision was accepted, and why not."""
        with told_plainly():
            now = AttemptClock().now()
            matter = self._matters.get(received.about)
            kind = None if matter is None else self._kinds.get(matter.kind)
            if matter is None or kind is None:
                return DecisionAnswer(accepted=False, code="not_ready", message="nothing of that name was proposed")
            overtaken = kind.overtaken(matter, now)
            answer = self._approvals.receive(
                *(received.about, received.raw, kind.rule(matter), now),
                overtaken=overtaken,
                effect=kind.effect(matter, now),
            )
            if answer.accepted and answer.status == APPROVED:
                kind.approved(matter, now)
            return answer

    @activity.defn(no_thread_cancel_exception=True)
    def expire_matter(self, request: ExpireMatterRequest) -> str:
        """Lets a matter lapse unless it was decided, or unless it was overtaken, and returns how it stands."""
        with told_plainly():
            now, matter = AttemptClock().now(), self._matters.get(request.about)
            kind = None if matter is None else self._kinds.get(matter.kind)
            if request.only_overtaken and matter is not None and not (kind and kind.overtaken(matter, now)):
                return matter.status
            self._matters.set_status(request.about, EXPIRED, at=now, only=(PENDING,))
            matter = self._matters.get(request.about)
            return EXPIRED if matter is None else matter.status
