"""What a plan will cost: everything that it promises to everyone it is for, by every channel it may take."""

from collections import Counter

from tellfirst.playbooks.schema import Playbook
from tellfirst.playbooks.units import most_units
from tellfirst.policy.prices import Cost, Prices
from tellfirst.store.alternates import Alternates
from tellfirst.store.recipients import Recipients


class Costs:
    """Estimates plans at the prices deployed here; without prices every cost is unknown."""

    def __init__(self, *, prices: Prices | None, recipients: Recipients, alternates: Alternates) -> None:
        self._prices, self._recipients, self._alternates = prices, recipients, alternates

    def of(self, outreach: str, revision: int, playbook: Playbook) -> Cost:
        """Returns the most that a frozen revision may come to."""
        if self._prices is None:
            return Cost()
        units: Counter[str] = Counter()
        for audience in (self._recipients, self._alternates):
            for (channel, locale), count in audience.by_text(outreach, revision).items():
                units[channel] += count * most_units(playbook, channel, locale)
        return self._prices.cost(units)
