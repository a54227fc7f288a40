"""The figures beside a headline, each with its name, as people read them."""

from collections.abc import Iterator

from tellfirst.domain.outcome import Arm
from tellfirst.measurement.beside import Beside
from tellfirst.measurement.costs import Costs
from tellfirst.measurement.intervals import Difference
from tellfirst.measurement.pools import Amount, Pool
from tellfirst.measurement.rates import ByArm, Mean, Rate
from tellfirst.web.report.forest import points

Fact = tuple[str, str]
HOUR = 3_600
ARMS: dict[Arm, str] = {"treated": "told", "control": "held out"}


def facts(some: Pool) -> Iterator[Fact]:
    """Yields what stands beside the headline of a pool that has a difference, each with its name."""
    if some.difference is None:
        return
    yield "Difference, percentage points", f"{change(some.difference)} ({between(some.difference)})"
    if some.relative is not None:
        yield "Relative change", _percent(some.relative)
    if some.avoided is not None:
        yield "Accounts spared a contact", amount(some.avoided)
    if some.net_avoided is not None:
        yield "Contacts avoided about anything", amount(some.net_avoided)
    for name, mean in (
        ("Contacts per account", some.contacts),
        ("Contacts per account, any reason", some.all_contacts),
    ):
        if mean is not None:
            yield name, f"{mean.difference:+.3f} ({mean.low:+.3f} to {mean.high:+.3f})".replace("-", "\u2212")
    for name, found in (
        ("Contacted about other reasons", some.elsewhere),
        ("Contacted about anything", some.anyhow),
        ("Contacted twice or more", some.repeated),
        ("Opted out", some.opted_out),
    ):
        if found is not None:
            yield name, f"{change(found)} ({between(found)})"
    if some.p is not None:
        yield "Probability if nothing changed", f"{some.p:.2g}"
    yield "Probability of such a split", f"{some.ratio_p:.2g}"


def stood_beside(some: Beside) -> Iterator[Fact]:
    """Yields what was counted beside a figure, as far as there is any of it."""
    if some.replied.n:
        yield "Replies among contacts of those told", _rate(some.replied)
    for channel in some.channels:
        said = [
            f"{_rate(rate)} {name}"
            for name, rate in (
                ("opened", channel.opened),
                ("by a machine", channel.machine),
                ("clicked", channel.clicked),
            )
            if rate is not None
        ]
        if said:
            yield f"Read, {channel.channel} (never a result)", "; ".join(said)
    if some.tones:
        yield (
            "Tone of replies (by a small classifier)",
            "; ".join(f"{one.tone} {_rate(one.rate)}" for one in some.tones),
        )
    if some.opted_out_per_1000 is not None:
        yield "Opt-outs per 1,000 told", _decimal(some.opted_out_per_1000)
    if some.settled is not None:
        yield "Settled without a contact", _both(some.settled)
    if any(one.n for one in some.resolved_first.values()):
        yield (
            "Came once only, of those who came",
            "; ".join(f"{ARMS[arm]} {_rate(r)}" for arm, r in some.resolved_first.items()),
        )
    if any(one.value is not None for one in some.resolution.values()):
        yield "Hours to resolution", "; ".join(f"{ARMS[arm]} {_hours(one)}" for arm, one in some.resolution.items())
    if some.costs is not None:
        yield from _costs(some.costs)
    for account in some.accounts:
        yield f"Accounts {account.event} within {account.days} days", _both(account.by_arm)


def _costs(found: Costs) -> Iterator[Fact]:
    def money(some: Amount) -> str:
        ends = (some.value, some.low or 0.0, some.high or 0.0)
        value, low, high = (f"{one / found.minor:,.2f}".replace("-", "\u2212") for one in ends)
        return f"{value} ({low} to {high}) {found.currency}".strip()

    yield "Cost of handling per account", money(found.handling)
    if found.per_account is not None:
        yield "The same with what telling took", money(found.per_account)
    if found.saving is not None:
        yield "Saved in all", money(found.saving)
    if found.per_avoided is not None:
        yield "Telling, per contact avoided", money(found.per_avoided)
    yield "Agents' hours not needed", _decimal(found.hours)


def _both(some: ByArm) -> str:
    apart = f": {change(some.difference)} ({between(some.difference)})" if some.difference else ""
    return f"told {_rate(some.treated)}, held out {_rate(some.control)}{apart}"


def _rate(some: Rate) -> str:
    return f"{some.n:,} accounts" if some.rate is None else f"{some.rate:.1%} of {some.n:,}"


def _hours(some: Mean) -> str:
    return "\u2013" if some.value is None else f"{some.value / HOUR:.1f}"


def _decimal(some: Amount) -> str:
    return f"{some.value:,.1f} ({some.low or 0:,.1f} to {some.high or 0:,.1f})".replace("-", "\u2212")


def change(found: Difference | None) -> str:
    """Returns a difference in percentage points."""
    return "–" if found is None else points(found.difference)


def between(found: Difference | None) -> str:
    """Returns the interval of a difference in percentage points."""
    return "–" if found is None else f"{points(found.low)} to {points(found.high)}"


def amount(found: Amount | None) -> str:
    """Returns a whole number with its interval."""
    if found is None:
        return "–"
    return f"{found.value:,.0f} ({found.low or 0:,.0f} to {found.high or 0:,.0f})".replace("-", "\u2212")


def _percent(found: Amount) -> str:
    high = "no bound" if found.high is None else f"{found.high:+.0%}"
    return f"{found.value:+.0%} ({found.low or 0:+.0%} to {high})".replace("-", "\u2212")


def percent(change: float) -> str:
    """Returns a relative change with its sign."""
    return f"{change:+.0%}".replace("-", "\u2212")
