"""The harm watch: every outreach that has sent something is held against the limits of its playbook."""

from collections.abc import Iterator, Sequence

from temporalio import activity

from activities.beat import beat
from activities.clock import AttemptClock
from activities.failures import told_plainly
from activities.playbooks import PlannedPlaybooks
from tellfirst.domain.base import Frozen
from tellfirst.errors import PlaybookError
from tellfirst.store.harm import Harm, HarmEvent
from tellfirst.store.outreaches import Outreaches


class Harmful(Frozen):
    """Is one outreach to pause: what was seen in words, and what names this crossing for good."""

    outreach: str
    words: str
    event_id: str


class HarmReport(Frozen):
    """Is how many outreaches were looked at, and which are to hear that they do harm."""

    looked_at: int
    harmful: tuple[Harmful, ...] = ()


class HarmActivities:
    """Watches over what runs."""

    def __init__(self, *, harm: Harm, outreaches: Outreaches, playbooks: PlannedPlaybooks) -> None:
        self._harm, self._outreaches, self._playbooks = harm, outreaches, playbooks

    @activity.defn(no_thread_cancel_exception=True)
    def watch_harm(self) -> HarmReport:
        """Judges every open outreach that has sent something; what was crossed is told until the outreach has heard it.

        So a word that was lost is said again by the next look, under the same name.
        """
        with told_plainly():
            clock, watched = AttemptClock(), self._harm.watched()
            harmful: list[Harmful] = []
            for count, outreach in enumerate(watched):
                try:
                    harmful += self._judge(outreach, clock)
                except (LookupError, PlaybookError) as error:  # the others are to be looked at all the same
                    activity.logger.warning("%s is not watched for harm: %s", outreach, type(error).__name__)
                beat(count)
            return HarmReport(looked_at=len(watched), harmful=tuple(harmful))

    def _judge(self, name: str, clock: AttemptClock) -> Iterator[Harmful]:
        outreach = self._outreaches.get(name)
        revision = self._outreaches.revision(name, self._outreaches.latest_revision(name))
        if outreach is None or revision is None:
            raise LookupError(name)
        limits = self._playbooks.of(revision).harm
        found = self._harm.standings(name, limits, now=clock.now())
        waits = {event.rule: event for event in self._harm.events(name) if event.accepted is None}
        if waits and not outreach.paused and self._harm.let_go_on(name):
            # Somebody let it go on who could see how it stood: that is what they accept.
            figures = {one.rule: max(one.figure or 0.0, waits[one.rule].figure) for one in found if one.rule in waits}
            self._harm.accept(name, figures, at=clock.now())
            found, waits = self._harm.standings(name, limits, now=clock.now()), {}
        crossed = [one for one in found if one.crossed and one.rule not in waits]
        new = [self._harm.record(name, one, at=clock.now()) for one in crossed]
        told = sorted((*waits.values(), *new), key=lambda event: event.rule)
        if new or (told and not outreach.paused):
            yield _harmful(name, told)


def _harmful(outreach: str, events: Sequence[HarmEvent]) -> Harmful:
    words = "; ".join(event.words for event in events)
    names = "+".join(f"{event.rule}-{event.number}" for event in events)
    # A signal's note has 500 characters, and what to do is not to be cut off.
    text = (
        f"Paused, for it does harm: {words[:380]}. `tellfirst resume` accepts it as it is, `tellfirst abort` ends it."
    )
    return Harmful(outreach=outreach, words=text, event_id=f"harm:{names}")
