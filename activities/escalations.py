"""What needs a person: kept, told, and delivered by the ways of this installation."""

import asyncio
from datetime import timedelta

from pydantic import AwareDatetime, Field
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.beat import beat
from activities.clock import AttemptClock
from activities.failures import told_plainly
from tellfirst.channels.notices import CONSOLE, Alert, Notifiers, write
from tellfirst.domain.base import Frozen
from tellfirst.store.escalations import EscalationRecord, Escalations
from tellfirst.store.notices import Notice, Notices

LOOK_AT = {
    "exception": "tellfirst exceptions show {name}",
    "library": "tellfirst playbooks history {name}",
    "permit": "tellfirst permits show {name}",
    "resume": "tellfirst resume --all",
    "feed": "tellfirst events",
}
"""The command with which what is no outreach is looked at, by what it is."""


class NoticeRequest(Frozen):
    """Asks to tell people something; the same `id` is told once, and `level` 0 stands on no ladder."""

    id: str
    outreach: str
    kind: str
    to: tuple[str, ...]
    text: str = Field(max_length=500)
    level: int = 0
    deadline: AwareDatetime | None = None


class EscalationRequest(EscalationRecord):
    """Asks to keep how an escalation stands, and to tell whoever it has reached."""

    notice: NoticeRequest | None = None


class NoticeKept(Frozen):
    """Says whether a notice is still to be delivered: what the console shows is told by then."""

    deliver: bool = False


class EscalationActivities:
    """Keeps escalations and notices, and delivers them."""

    def __init__(
        self,
        *,
        escalations: Escalations,
        notices: Notices,
        notifiers: Notifiers,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._escalations, self._notices = escalations, notices
        self._notifiers, self._loop = notifiers, loop

    @activity.defn(no_thread_cancel_exception=True)
    def notify(self, request: NoticeRequest) -> NoticeKept:
        """Keeps a notice, shows it on the console where that is asked for, and says whether more is to be done."""
        with told_plainly():
            return self._told(request)

    @activity.defn(no_thread_cancel_exception=True)
    def keep_escalation(self, request: EscalationRequest) -> NoticeKept:
        """Keeps how an escalation stands, then the notice of the level it has reached."""
        with told_plainly():
            record = EscalationRecord.model_validate(request.model_dump(exclude={"notice"}))
            self._escalations.keep(record, at=AttemptClock().now())
            return NoticeKept() if request.notice is None else self._told(request.notice)

    @activity.defn(no_thread_cancel_exception=True)
    def deliver_notice(self, notice: str) -> None:
        """Delivers a notice by every way that has not delivered it; fails, to be tried again, while one has not."""
        with told_plainly():
            clock, kept = AttemptClock(), self._notices.get(notice)
            if kept is None:
                return
            failed, wait = [], 0.0
            for way in self._notices.undelivered(notice):
                beat(way)
                delivery = asyncio.run_coroutine_threadsafe(
                    self._notifiers.tell(way, alert_of(kept), now=clock.now()), self._loop
                ).result()
                self._notices.tried(notice, way, delivery.detail, delivered=delivery.acknowledged, at=clock.now())
                if not delivery.acknowledged:
                    failed.append(f"{way} ({delivery.detail})")
                    wait = max(wait, delivery.retry_after or 0)
            if failed:
                pause = timedelta(seconds=wait) if wait else None
                told = f"not delivered by {', '.join(failed)}"
                raise ApplicationError(told, type="NotDelivered", next_retry_delay=pause)

    def _told(self, request: NoticeRequest) -> NoticeKept:
        now = AttemptClock().now()
        notice = Notice(
            id=request.id,
            outreach=request.outreach,
            kind=request.kind,
            to=", ".join(request.to),
            text=request.text,
            at=now,
            level=request.level,
            deadline=request.deadline,
        )
        self._notices.keep(notice, self._notifiers.ways_to(request.to))
        left = self._notices.undelivered(request.id)
        if CONSOLE in left:
            write(alert_of(notice))
            self._notices.tried(request.id, CONSOLE, "", delivered=True, at=now)
        return NoticeKept(deliver=any(way != CONSOLE for way in left))


def alert_of(notice: Notice) -> Alert:
    """Returns a notice as it is told, with the command that shows what it is about."""
    show = _look_at(notice.outreach)
    return Alert(
        id=notice.id,
        about=notice.outreach,
        kind=notice.kind,
        level=notice.level,
        to=notice.to,
        text=notice.text,
        what_to_do=f"{show}; tellfirst ack {notice.outreach}" if notice.level else show,
        deadline=notice.deadline,
        at=notice.at,
    )


def _look_at(about: str) -> str:
    what, _, name = about.partition("/")
    if what == "library":
        name = name.partition("/")[0]
    return LOOK_AT.get(what, f"tellfirst show {about}").format(name=name)
