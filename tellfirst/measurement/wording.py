"""How figures are written in sentences: shares, percentage points and intervals, never more exact than they are."""

from tellfirst.measurement.intervals import Difference


def size(fraction: float) -> str:
    """Returns a fraction (-1 to 1) as percent without its sign, such as `3.2`; a small one keeps a digit more."""
    points = abs(100 * fraction)
    return f"{points:.1f}" if points >= 0.1 or points == 0 else f"{points:.2f}"


def part(events: int, n: int) -> str:
    """Returns `events` of `n` with their share, such as `50 of 500 (10.0 %)`."""
    return f"{events:,} of {n:,} ({size(events / n)} %)"


def points(change: float) -> str:
    """Returns a difference of shares in words, such as `4.7 percentage points lower`."""
    if change == 0:
        return "no difference"
    return f"{size(change)} percentage points {'lower' if change < 0 else 'higher'}"


def interval(found: Difference) -> str:
    """Returns the interval of a difference of shares in words, such as `3.2 to 6.4 lower`."""
    if found.high < 0:
        return f"{size(found.high)} to {size(found.low)} lower"
    if found.low > 0:
        return f"{size(found.low)} to {size(found.high)} higher"
    return f"from {size(found.low)} lower to {size(found.high)} higher"
