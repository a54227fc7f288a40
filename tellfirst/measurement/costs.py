"""What an outreach cost and what it saved: handling time in money, and what telling first takes."""

from collections.abc import Sequence

from pydantic import Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.beside import BesideCounts
from tellfirst.measurement.means import MeanDifference
from tellfirst.measurement.pools import Amount, Pair, Pool

HOUR = 3_600
MICROS = 1_000_000


class CostRates(Frozen):
    """Is what time costs here, in minor units of `currency`, `minor` of which are one of its major unit.

    Without `agent_hour` nothing is said in money. Each decision is taken for `approval_minutes` of its approver.
    """

    currency: str = ""
    minor: int = Field(default=100, ge=1)
    agent_hour: float | None = Field(default=None, gt=0)
    approver_minute: float = Field(default=0, ge=0)
    approval_minutes: float = Field(default=5, ge=0)


class Costs(Frozen):
    """Is what handling and telling cost, in minor units of `currency`; all differences are treated minus control.

    `treated` and `control` are the handling cost per account, `handling` their difference, adjusted by the time before
    t0. `messages` (the most they may have come to) and `approvals` are what telling took in all, `telling` both per
    told account. `per_account` is the difference with what telling took, `saving` that over all told accounts, positive
    where money was saved; `hours` are agents' hours that were not needed. `per_avoided` is what telling took per
    contact avoided, None where the interval of those does not exclude 0: it is not estimable then. Of `contacts` in the
    windows `untimed` had no handle time. What needs a price that nobody gave is None.
    """

    currency: str
    minor: int
    treated: float
    control: float
    handling: Amount
    hours: Amount
    messages: float | None
    approvals: float
    telling: float | None
    per_account: Amount | None
    saving: Amount | None
    per_avoided: Amount | None
    contacts: int
    untimed: int


def costs(pool: Pool, strata: Sequence[Pair], counts: Sequence[BesideCounts], rates: CostRates) -> Costs | None:
    """Returns the costs of what `pool` compares; None without a comparison, a price of time, or any handle time.

    Source of the interval: Welch's, see `pooled_means`; what telling took is no estimate and moves it as a whole.
    """
    arms = [arm for one in strata for arm in (one.treated, one.control)]
    contacts, untimed = round(sum(arm.all_contacts.y for arm in arms)), sum(arm.untimed for arm in arms)
    if rates.agent_hour is None or pool.seconds is None or 0 < contacts <= untimed:
        return None
    second, told = rates.agent_hour / HOUR, sum(one.treated.clusters for one in strata)
    messages = _messages(counts, rates)
    approvals = sum(one.approvals for one in counts) * rates.approval_minutes * rates.approver_minute
    telling = None if messages is None else (messages + approvals) / told
    n, seconds = pool.treated.clusters, pool.seconds
    per_account = None if telling is None else _amount(seconds, second, telling)
    return Costs(
        currency=rates.currency,
        minor=rates.minor,
        treated=second * weighted(strata, [one.treated.seconds.y for one in strata], "treated"),
        control=second * weighted(strata, [one.control.seconds.y for one in strata], "control"),
        handling=_amount(seconds, second),
        hours=_amount(seconds, -n / HOUR),
        messages=messages,
        approvals=approvals,
        telling=telling,
        per_account=per_account,
        saving=per_account and _scaled(per_account, -n),
        per_avoided=None if telling is None else _per_avoided(telling * n, pool.net_avoided),
        contacts=contacts,
        untimed=untimed,
    )


def in_words(found: Costs) -> tuple[str, ...]:
    """Returns the costs as sentences that hold."""

    def money(minor: float) -> str:
        return f"{minor / found.minor:,.2f} {found.currency}".strip()

    said = []
    saving = found.saving
    if saving is None or saving.low is None or saving.high is None:
        said.append("What it saved is not known: the price of its messages is not, or is in another currency.")
    elif saving.low > 0:
        said.append(
            f"Telling them first saved {money(saving.value)} after what it cost"
            f" (95 % interval: {money(saving.low)} to {money(saving.high)})."
        )
    elif saving.high < 0:
        said.append(
            f"Telling them first cost {money(-saving.value)} more than it saved"
            f" (95 % interval: {money(-saving.high)} to {money(-saving.low)})."
        )
    else:
        said.append(
            f"Whether telling them first paid cannot be said: it lies between a loss of {money(-saving.low)}"
            f" and a saving of {money(saving.high)}."
        )
    said.append(
        "Agents' hours are capacity: they become money only where fewer hours are paid."
        + (f" What left in cash are {money(found.messages)} for messages." if found.messages else "")
    )
    if found.untimed:
        said.append(
            f"Of {found.contacts:,} contacts {found.untimed:,} came without a handle time;"
            " they are taken to have been as long as the others of their reason."
        )
    return tuple(said)


def weighted(strata: Sequence[Pair], sums: Sequence[float], arm: str) -> float:
    """Returns the mean per cluster of one arm, `sums` over each stratum's clusters, weighted as differences are."""
    total = weight = 0.0
    for one, of in zip(strata, sums, strict=True):
        n_t, n_c = one.treated.clusters, one.control.clusters
        if n_t and n_c:
            weight += n_t * n_c / (n_t + n_c)
            total += of / (n_t if arm == "treated" else n_c) * n_t * n_c / (n_t + n_c)
    return total / weight if weight else 0.0


def _messages(counts: Sequence[BesideCounts], rates: CostRates) -> float | None:
    if any(one.message_micros is None or (one.message_micros and one.currency != rates.currency) for one in counts):
        return None
    return sum(one.message_micros or 0 for one in counts) * rates.minor / MICROS


def _per_avoided(spent: float, avoided: Amount | None) -> Amount | None:
    if avoided is None or avoided.low is None or avoided.high is None or avoided.low <= 0:
        return None
    return Amount(value=spent / avoided.value, low=spent / avoided.high, high=spent / avoided.low)


def _amount(found: MeanDifference, factor: float, more: float = 0.0) -> Amount:
    of = Amount(value=found.difference, low=found.low, high=found.high)
    scaled = _scaled(of, factor)
    return Amount(
        value=scaled.value + more,
        low=None if scaled.low is None else scaled.low + more,
        high=None if scaled.high is None else scaled.high + more,
    )


def _scaled(amount: Amount, factor: float) -> Amount:
    ends = sorted(end * factor for end in (amount.low, amount.high) if end is not None)
    return Amount(value=amount.value * factor, low=ends[0], high=ends[-1])
