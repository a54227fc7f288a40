"""What became of accounts after they were told first, or held out: retained, churned, expanded, contracted."""

from collections.abc import Sequence

from tellfirst.domain.base import Frozen
from tellfirst.domain.beside import AccountCount, AccountEvent, BesideCounts
from tellfirst.domain.outcome import Arm
from tellfirst.measurement.means import MeanDifference, pooled_means
from tellfirst.measurement.pooling import Stratum
from tellfirst.measurement.rates import ByArm, by_arm


class AccountRate(Frozen):
    """Is how many accounts had an event within `days` after t0, by arm."""

    event: AccountEvent
    days: int
    by_arm: ByArm


class AccountValue(Frozen):
    """Is the change of value per account within `days`, in minor units, treated minus control."""

    days: int
    difference: MeanDifference


def _pairs(counts: Sequence[BesideCounts], days: int) -> list[tuple[AccountCount, AccountCount]]:
    arms: dict[tuple[str, float], dict[Arm, AccountCount]] = {}
    for of in counts:
        for one in of.accounts:
            if one.days == days:
                arms.setdefault((of.outreach, one.share), {})[one.arm] = one
    return [(some["treated"], some["control"]) for some in arms.values() if len(some) == 2]


def _days(counts: Sequence[BesideCounts]) -> list[int]:
    return sorted({one.days for of in counts for one in of.accounts})


def account_rates(counts: Sequence[BesideCounts], *, compared: bool) -> tuple[AccountRate, ...]:
    """Returns how many accounts had each event, after each number of days for which both arms have events."""
    found: list[AccountRate] = []
    events: tuple[AccountEvent, ...] = ("retained", "churned", "expanded", "contracted")
    for days in _days(counts):
        both = _pairs(counts, days)
        # Accounts that nobody tells anything of in one arm are no accounts to which nothing happened.
        if not all(any(sum(pair[arm].events.values()) for pair in both) for arm in (0, 1)):
            continue
        for event in events:
            strata = [
                Stratum(
                    events_t=t.events.get(event, 0), n_t=t.accounts, events_c=c.events.get(event, 0), n_c=c.accounts
                )
                for t, c in both
            ]
            if any(one.events_t or one.events_c for one in strata):
                found.append(AccountRate(event=event, days=days, by_arm=by_arm(strata, compared=compared)))
    return tuple(found)


def account_values(counts: Sequence[BesideCounts]) -> tuple[AccountValue, ...]:
    """Returns the difference in value per account, after each number of days for which both arms have values."""
    found = []
    for days in _days(counts):
        both = _pairs(counts, days)
        valued = all(any(pair[arm].value.yy for pair in both) for arm in (0, 1))
        if valued and (difference := pooled_means([(t.value, c.value) for t, c in both])):
            found.append(AccountValue(days=days, difference=difference))
    return tuple(found)
