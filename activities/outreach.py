"""The steps of an outreach's life beside planning and sending: waves, looks at the source, notices, endings."""

from datetime import datetime

from pydantic import AwareDatetime, Field
from temporalio import activity

from activities.affected import Affected
from activities.beat import beat
from activities.clock import AttemptClock
from activities.failures import on_record, told_plainly
from activities.measuring import Measuring
from activities.playbooks import PlannedPlaybooks
from activities.sources import Sources
from tellfirst import __version__
from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Facts
from tellfirst.domain.plan import spans_of
from tellfirst.domain.recipient import Wave
from tellfirst.playbooks.holdouts import holdouts_of
from tellfirst.policy.caps import FrequencyCap
from tellfirst.signing.trail import Entry
from tellfirst.store.admissions import Admissions
from tellfirst.store.chain import Chain
from tellfirst.store.controls import Controls
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.receivers import Receivers
from tellfirst.store.recipients import Randomisation, Recipients
from tellfirst.store.sends import Sends
from tellfirst.store.whereabouts import HourRules


class WaveRequest(Frozen):
    """Asks to randomise at `t0` those on a revision's pages before `end` whose slot has come."""

    outreach: str
    revision: int
    t0: AwareDatetime
    end: int


class LookRequest(Frozen):
    """Asks to look at the source again; `cleared` is what the starter said, where no source can be asked."""

    outreach: str
    cleared: bool = False


class Look(Frozen):
    """Is what the source shows: who is still affected, for whom it is over, and subjects not planned for yet."""

    still: int = 0
    over: int = 0
    new: int = 0


class CloseRequest(Frozen):
    """Asks to measure; `last_chance` closes without contacts rather than waiting for them longer."""

    outreach: str
    revision: int
    window_end: AwareDatetime
    last_chance: bool = False
    reason: str = ""


class Closing(Frozen):
    """Is the measured outcome, or `waiting` while contacts up to the window's end are not here yet."""

    waiting: bool = False
    grade: str = ""
    accepted: int = 0
    withheld: int = 0
    failed: int = 0
    unknown: int = 0


class EndRequest(Frozen):
    """Asks to record an ending without a measurement."""

    outreach: str
    ending: str
    reason: str = ""


class StatusRequest(Frozen):
    """Asks to record what became of revisions."""

    outreach: str
    revisions: tuple[int, ...]
    status: str


class HoldRequest(Frozen):
    """Asks to hold an outreach or to let it go on; going on also lifts its channels' halts."""

    outreach: str
    paused: bool
    channels: tuple[str, ...] = ()
    by: str = Field(default="", max_length=200)
    aborted: bool = False


class OutreachActivities:
    """Keeps an outreach's promises apart from sending."""

    def __init__(
        self,
        *,
        outreaches: Outreaches,
        recipients: Recipients,
        receivers: Receivers,
        sends: Sends,
        measuring: Measuring,
        controls: Controls,
        admissions: Admissions,
        affected: Affected,
        playbooks: PlannedPlaybooks,
        sources: Sources,
        chain: Chain,
        salt: str,
        everywhere: float,
        cap: FrequencyCap,
        hours: HourRules,
    ) -> None:
        self._outreaches, self._recipients, self._sends = outreaches, recipients, sends
        self._receivers = receivers
        self._measuring, self._controls = measuring, controls
        self._admissions, self._affected = admissions, affected
        self._playbooks, self._sources = playbooks, sources
        self._everywhere = everywhere
        self._chain, self._salt, self._cap, self._hours = chain, salt, cap, hours

    @activity.defn(no_thread_cancel_exception=True)
    def randomise(self, request: WaveRequest) -> Wave:
        """Draws arms and reserves the frequency cap, page by page; what an earlier attempt drew stays.

        Those an addendum is for were drawn with their first message, and have their place: of these nobody waits here.
        """
        with told_plainly():
            revision = on_record(self._outreaches.revision(request.outreach, request.revision))
            playbook = self._playbooks.of(revision)
            if revision.plan.unplanned:
                self._receivers.tell_all(request.outreach, request.revision, first=0, end=request.end)
                told = self._recipients.wave(request.outreach, request.revision, end=request.end)
                return told.model_copy(update={"drawn": spans_of(range(request.end))})
            by = Randomisation(
                holdouts=holdouts_of(playbook, self._everywhere),
                salt=self._salt,
                t0=request.t0,
                window=revision.plan.window,
                cap=self._cap,
                cap_exempt=playbook.limits.cap_exempt,
                urgency=playbook.urgency,
                not_after=revision.plan.initial.not_after,
                hours=self._hours.of(playbook.timing),
                playbook_version=revision.plan.playbook_version,
                run=activity.info().workflow_run_id or "",
                code_version=__version__,
            )
            waiting: list[datetime] = []
            for page in self._recipients.undrawn(request.outreach, request.revision, end=request.end):
                waiting += self._recipients.randomise(request.outreach, request.revision, by, page=page)
                beat(page)
            wave = self._recipients.wave(request.outreach, request.revision, end=request.end)
            drawn = self._recipients.unopened(request.outreach, request.revision)
            return wave.model_copy(update={"next_at": min(waiting, default=None), "drawn": drawn})

    @activity.defn(no_thread_cancel_exception=True)
    def look(self, request: LookRequest) -> Look:
        """Looks at the source again and records for whom the condition is over."""
        with told_plainly():
            now = AttemptClock().now()
            outreach = on_record(self._outreaches.get(request.outreach))
            revision = on_record(
                self._outreaches.revision(request.outreach, self._outreaches.latest_revision(request.outreach))
            )
            playbook = self._playbooks.of(revision)
            parameters: Facts = {}
            if self._sources.watches(playbook):
                parameters = self._admissions.parameters(outreach.trigger, outreach.key, outreach.episode)
            with self._sources.watch(playbook, parameters) as watch:
                if watch is not None:
                    for rows in self._recipients.subject_keys(request.outreach):
                        still = watch.still([key for _, key in rows], at=now)
                        self._recipients.mark_cleared([id_ for id_, key in rows if key not in still], at=now)
                        beat(len(rows))
                elif request.cleared:
                    self._outreaches.clear(request.outreach, at=now)
                    self._recipients.mark_all_cleared(request.outreach, at=now)
                counts = self._recipients.still_affected(request.outreach)
                if not counts["open"]:
                    self._outreaches.clear(request.outreach, at=now)
                # Where only its starter can say that a condition is over, it does not grow after that word.
                over = watch is None and (request.cleared or outreach.cleared_at is not None)
                new = 0
                if self._affected.may_grow(outreach) and not over:
                    for subjects in self._affected.not_planned(outreach, playbook, at=now):
                        keys = [subject.key for subject in subjects]
                        new += len(keys if watch is None else watch.still(keys, at=now))
                        beat(new)
            return Look(still=counts["open"], over=counts["cleared"], new=new)

    @activity.defn(no_thread_cancel_exception=True)
    def close(self, request: CloseRequest) -> Closing:
        """Measures and records the outcome, once the contacts of every window are here."""
        with told_plainly():
            now = AttemptClock().now()
            if not request.last_chance and not self._measuring.arrived(request.window_end):
                return Closing(waiting=True)
            revision = on_record(self._outreaches.revision(request.outreach, request.revision))
            outcome = self._measuring.record(
                request.outreach, reason_code=revision.plan.reason_code, end=request.window_end, at=now
            )
            self._outreaches.close(request.outreach, ending="measured", reason=request.reason, at=now)
            tally = self._sends.tally(request.outreach)
            return Closing(
                waiting=False,
                grade=outcome.grade,
                accepted=tally.accepted,
                withheld=tally.withheld,
                failed=tally.failed,
                unknown=tally.unknown + tally.in_doubt,
            )

    @activity.defn(no_thread_cancel_exception=True)
    def end(self, request: EndRequest) -> None:
        """Records an ending without a measurement."""
        with told_plainly():
            self._outreaches.close(
                request.outreach, ending=request.ending, reason=request.reason, at=AttemptClock().now()
            )

    @activity.defn(no_thread_cancel_exception=True)
    def set_status(self, request: StatusRequest) -> None:
        """Records what became of revisions."""
        with told_plainly():
            for revision in request.revisions:
                self._outreaches.set_status(request.outreach, revision, request.status)

    @activity.defn(no_thread_cancel_exception=True)
    def hold(self, request: HoldRequest) -> None:
        """Holds an outreach, or lets it go on."""
        with told_plainly():
            now = AttemptClock().now()
            self._outreaches.hold(request.outreach, paused=request.paused)
            if not request.paused:
                for channel in request.channels:
                    self._controls.turn_off(f"channel:{channel}", by=request.by, at=now)
            # Last, so that a hold never waits for the log; an attempt that dies before it is made again.
            kind = "abort" if request.aborted else "pause" if request.paused else "resume"
            self._chain.append(Entry(kind=kind, about=request.outreach, actor=request.by, at=now))
