"""What a plan will cost: everything that it promises to everyone it is for."""

from collections import Counter

from tellfirst.playbooks.schema import Playbook
from tellfirst.playbooks.units import most_units
from tellfirst.policy.prices import Cost, Prices
from tellfirst.store.recipients import Recipients


class Costs:
    """Estimates plans at the prices deployed here; without prices every cost is unknown."""

    def __init__(self, *, prices: Prices | None, recipients: Recipients) -> None:
        self._prices, self._recipients = prices, recipients

    def of(self, outreach: str, revision: int, playbook: Playbook) -> Cost:
        """Returns the most that a frozen revision may come to."""
        if self._prices is None:
            return Cost()
        units: Counter[str] = Counter()
        for (channel, locale), count in self._recipients.by_text(outreach, revision).items():
            units[channel] += count * most_units(playbook, channel, locale)
        return self._prices.cost(units)
