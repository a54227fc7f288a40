"""What the demo itself looks up, to know when to go on and to check what was promised."""

from datetime import UTC, datetime

from demo_screen import DemoError
from demo_stage import Stage

from tellfirst.cli.wiring import Installation, with_outreaches
from tellfirst.domain.message import SendState
from tellfirst.domain.plan import Plan

REACHED = (SendState.ACCEPTED, SendState.DELIVERED)


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

    def wait_for_start(self, outreach: str) -> int:
        """Waits until everybody drawn to be told has been, and returns how many that are."""
        self._stage.wait(
            f"the first messages of {outreach}",
            lambda: self.arms(outreach) and self.sent(outreach, "initial") == self.arms(outreach).get("treated", 0),
        )
        return self.sent(outreach, "initial")

    def wait_for(self, outreach: str, step: str, count: int, *, within: float) -> None:
        """Waits until so many messages of a step have left."""
        self._stage.wait(f"step '{step}' of {outreach}", lambda: self.sent(outreach, step) >= count, within=within)

    def wait_for_end(self, outreach: str, wanted: str, *, within: float = 60) -> None:
        """Waits until an outreach ends as it should."""
        self._stage.wait(f"the end of {outreach}", lambda: self.ending(outreach), within=within)
        if (ending := self.ending(outreach)) != wanted:
            raise DemoError(f"{outreach} ended as {ending}, and not as {wanted}")

    def window_end(self, outreach: str) -> datetime:
        """Returns when the window of an outreach closes whose promises are kept; asks its workflow."""
        end = with_outreaches(lambda client: client.view(outreach)).deadline
        return end or datetime.now(UTC)

    def addresses(self, customer: str) -> set[str]:
        """Returns the addresses of a customer."""
        found = self._here.customers.resolve([customer])
        return {point.address for point in found[customer].addresses.values()}
