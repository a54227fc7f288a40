"""What a report says in words: sentences that stay true when they are repeated without the table beside them."""

from collections.abc import Iterator, Sequence

from tellfirst.domain.outcome import Grade
from tellfirst.measurement.intervals import Difference
from tellfirst.measurement.planning import Detectable
from tellfirst.measurement.pools import Amount, Pool
from tellfirst.measurement.wording import interval, part, points, size

NAMED = 3
"""So many outreaches are named in a sentence, the others counted."""

SURE = 0.05
"""Below this probability a difference is called likely more than chance."""


def headline(pool: Pool, reason: str) -> str:
    """Returns what a pool of outreaches comes to, as far as its grade lets it be said."""
    outreaches = _outreaches(pool.outreaches)
    if pool.grade == "X":
        return withheld(pool.outreaches)
    found = pool.difference
    if found is None:
        return _counted(pool, reason, outreaches)
    treated, control = pool.treated, pool.control
    if pool.strata - len(pool.left_out) == 1 or pool.outreaches == 1:
        told, held = part(treated.contacted, treated.clusters), part(control.contacted, control.clusters)
        said = f"Of the accounts chosen to be told first, {told} contacted support about {reason}; of those held out,"
        said += f" {held}"
    else:
        said = (
            f"Over {outreaches}, each compared within itself: of the {treated.clusters:,} accounts chosen to be told"
            f" first, {size(treated.rate or 0)} % contacted support about {reason}; of the {control.clusters:,} held"
            f" out, {size(control.rate or 0)} %"
        )
    return f"{said}: {points(found.difference)} (95 % interval: {interval(found)})."


def withheld(outreaches: int) -> str:
    """Returns why nothing is said of outreaches whose split is broken."""
    return (
        f"In {_outreaches(outreaches)} the accounts are not split between the arms as chance would split them, so any"
        " difference may come from the split itself: the numbers are withheld until the cause is found."
    )


def verdict(pool: Pool, adjusted_p: float | None = None, compared: int = 1) -> str:
    """Returns what may be concluded from a pool, one of `compared` reasons, with its probability adjusted for that."""
    found = pool.difference
    if found is None:
        return ""
    if not pool.enough:
        return "That is too few accounts, or too few contacts, to conclude anything from."
    small = "Each of these outreaches is too small to conclude from alone; together: " if pool.grade == "B" else ""
    if found.low <= 0 <= found.high:
        said = "that is not evidence that telling them first changed that share, nor that it did not."
    else:
        way = "lowered" if found.high < 0 else "raised"
        said = f"telling them first very likely {way} that share: chance alone would rarely give such a difference."
        if adjusted_p is not None and adjusted_p >= SURE:
            said = (
                f"that looks as if telling them first {way} that share, but of {compared} reasons compared at once one"
                " looks so by chance: a hint, not a finding."
            )
    return small + (said if small else said[0].upper() + said[1:])


def likely(pool: Pool) -> bool:
    """Returns whether a pool is large enough to conclude from, and its interval leaves no difference out."""
    return pool.enough and pool.difference is not None and not pool.difference.low <= 0 <= pool.difference.high


def details(pool: Pool) -> Iterator[str]:
    """Yields what stands beside the headline of a pool that has a difference, a sentence each."""
    found = pool.difference
    if found is None:
        return
    if pool.enough and pool.avoided is not None:
        yield _avoided(pool.avoided)
    if likely(pool) and found.high < 0 and pool.grade == "A" and pool.relative is not None:
        yield _relative(pool.relative)
    if pool.elsewhere is not None and pool.anyhow is not None:
        yield _displaced(pool.elsewhere, pool.anyhow)
    if pool.power is not None:
        yield power_line(pool.power)
    if pool.spread is not None:
        if pool.spread.p < SURE:
            bounds = Difference(difference=pool.spread.mean, low=pool.spread.next_low, high=pool.spread.next_high)
            yield (
                "The outreaches differ by more than chance makes them: a further one may do anything"
                f" {'' if bounds.low <= 0 <= bounds.high else 'from '}{interval(bounds)}, in percentage points."
            )
        else:
            yield "The outreaches do not differ by more than chance makes them."
    if pool.left_out:
        yield (
            f"{_named(pool.left_out)} {'has' if len(pool.left_out) == 1 else 'have'} an empty arm"
            " and so compare nothing; they are left out."
        )
    if pool.crossed:
        yield (
            f"Accounts that turned out to be one with an account of the other arm: {pool.crossed:,};"
            " each counts in the arm drawn first."
        )


def power_line(power: Detectable) -> str:
    """Returns how small a change can be that this hold-out still shows."""
    if power.drop is None:
        return "With this hold-out you can see no fall at all, not even one to nothing: it is too small."
    return (
        f"With this hold-out you can see {size(power.drop)} points or more (four times out of five);"
        " a smaller fall may be there and not show."
    )


def early(now: Difference | None, contacted: int, reason: str) -> str:
    """Returns what an outreach with an open window looks like so far."""
    if now is None:
        return (
            f"Too early to say anything: {contacted:,} account{'' if contacted == 1 else 's'} contacted support about"
            f" {reason} so far,"
            " and bounds that hold at every look need 100."
        )
    return (
        f"So far the share who contacted support about {reason} is {points(now.difference)} among those told first"
        f" (bounds that hold at every look: {interval(now)}). The window is open and this will move."
    )


def _outreaches(count: int) -> str:
    return f"{count:,} outreach{'' if count == 1 else 'es'}"


def _counted(pool: Pool, reason: str, outreaches: str) -> str:
    treated = pool.treated
    if pool.grade in ("C", "D"):
        return f"In {outreaches} nobody was held out; what they were compared with is told for each."
    if treated.rate is None:
        return f"For {outreaches} nothing can be said: contacts after outreach were not or could not be counted."
    return (
        f"After {outreaches} without a comparison, of the accounts told"
        f" {part(treated.contacted, treated.clusters)} contacted support about {reason}."
        " How many would have without it is not known."
    )


def _avoided(avoided: Amount) -> str:
    low, high = avoided.low or 0.0, avoided.high or 0.0
    if low > 0:
        return (
            f"By estimate {avoided.value:,.0f} accounts did not have to contact support for it"
            f" (95 % interval: {low:,.0f} to {high:,.0f})."
        )
    if high < 0:
        return (
            f"By estimate {-avoided.value:,.0f} more accounts contacted support for it"
            f" (95 % interval: {-high:,.0f} to {-low:,.0f})."
        )
    return f"The data fit anything from {-low:,.0f} more accounts contacting support for it to {high:,.0f} fewer."


def _relative(relative: Amount) -> str:
    low = None if relative.low is None else -100 * relative.low
    high = None if relative.high is None else -100 * relative.high
    bounds = f" (95 % interval: {high:.0f} to {low:.0f} %)" if low is not None and high is not None else ""
    return f"That is a deflection of {-100 * relative.value:.0f} %{bounds} of what would have been without it."


def _displaced(elsewhere: Difference, anyhow: Difference) -> str:
    said = f"Contacts about other reasons: {points(elsewhere.difference)} ({interval(elsewhere)})"
    if elsewhere.low > 0:
        said += ", so that part of what was avoided came back under another name"
    return f"{said}; about any reason: {points(anyhow.difference)} ({interval(anyhow)})."


def _named(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


MEANING: dict[Grade, str] = {
    "A": "drawn by chance, the split is as drawn, the window closed with its contacts counted",
    "B": "drawn by chance, but the window is open, or there are too few to conclude from alone",
    "C": "nobody held out; compared with reasons that nobody was told about",
    "D": "nobody held out; compared with the time before",
    "X": "the split is not as drawn, so the numbers are withheld",
    "E": "nothing to compare with: contacts after outreach are counted, and that is all",
}
"""What each grade means, in a line."""
