"""What the demo itself looks up, to know when to go on and to check what was promised."""

from datetime import UTC, datetime

from demo_screen import DemoError, clock
from demo_stage import Stage

from tellfirst.cli.wiring import Installation, with_outreaches
from tellfirst.domain.message import SendState
from tellfirst.domain.plan import Plan

REACHED = (SendState.ACCEPTED, SendState.DELIVERED)
OPEN = (SendState.PLANNED, SendState.DEFERRED, SendState.INTENT)


class Record:
    """Reads the installation of the folder the demo is in."""

    def __init__(self, here: Installation, stage: Stage) -> None:
        self._here, self._stage = here, stage

    def planned(self, trigger: str) -> tuple[str, Plan]:
        """Waits until an outreach of a trigger waits for a decision; returns the newest, its name and its plan."""
        found: list[tuple[str, Plan]] = []

        def look() -> bool:
            waiting = self._here.outreaches.pending()
            found.extend((one.outreach, one.plan) for one in waiting if one.plan.playbook == trigger)
            return bool(found)

        self._stage.wait(f"the plan of {trigger}", look)
        return found[-1]

    def plan(self, outreach: str) -> Plan:
        """Waits until an outreach waits for a decision and returns its plan."""
        self._stage.wait(f"the plan of {outreach}", lambda: self._here.outreaches.pending(outreach))
        return self._here.outreaches.pending(outreach)[0].plan

    def ending(self, outreach: str) -> str:
        """Returns how an outreach ended, or nothing while it runs."""
        record = self._here.outreaches.get(outreach)
        return (record.ending or "") if record and record.closed_at else ""

    def sent(self, outreach: str, step: str) -> int:
        """Returns how many messages of a step have left."""
        return sum(s.count for s in self._here.sends.states(outreach) if s.step == step and s.state in REACHED)

    def arms(self, outreach: str) -> dict[str, int]:
        """Returns how many recipients were drawn into each arm."""
        return self._here.recipients.arms(outreach)

    def settled(self, outreach: str, step: str) -> int:
        """Returns for how many the step is done with: sent to them, or withheld for a reason."""
        return sum(s.count for s in self._here.sends.states(outreach) if s.step == step and s.state not in OPEN)

    def wait_for_start(self, outreach: str) -> int:
        """Waits until everybody drawn to be told is done with, and returns how many messages have left."""
        self._stage.wait(
            f"the first messages of {outreach}",
            lambda: (arms := self.arms(outreach)) and self.settled(outreach, "initial") == arms.get("treated", 0),
        )
        return self.sent(outreach, "initial")

    def wait_for_news(self, outreach: str, promise: datetime | None) -> tuple[int, int]:
        """Waits until all who were told have had their news, which has to be before `promise`.

        Returns how many got an update, and how many heard that it is over.
        """
        told = self.sent(outreach, "initial")
        left = (promise - datetime.now(UTC)).total_seconds() if promise else 0.0
        self._stage.wait(
            f"the news of {outreach}",
            lambda: self.settled(outreach, "update-1") + self.sent(outreach, "resolved") >= told,
            within=120 + max(left, 0.0),
        )
        if promise is None or datetime.now(UTC) > promise:
            raise DemoError(f"the news promised by {outreach} left later than {clock(promise)}")
        return self.sent(outreach, "update-1"), self.sent(outreach, "resolved")

    def wait_for_end(self, outreach: str, wanted: str = "") -> None:
        """Waits until an outreach ends, and raises DemoError when it does not end as `wanted`."""
        self._stage.wait(f"the end of {outreach}", lambda: self.ending(outreach))
        if wanted and (ending := self.ending(outreach)) != wanted:
            raise DemoError(f"{outreach} ended as {ending}, and not as {wanted}")

    def window_end(self, outreach: str) -> datetime:
        """Returns when the window of an outreach closes whose promises are kept; asks its workflow."""
        end = with_outreaches(lambda client: client.view(outreach)).deadline
        return end or datetime.now(UTC)

    def addresses(self, customer: str) -> set[str]:
        """Returns the addresses of a customer."""
        found = self._here.customers.resolve([customer])
        return {point.address for point in found[customer].addresses.values()}
