"""Where the lines of a forest plot stand: one per comparison, on one axis, in hundredths of the width."""

from collections.abc import Sequence
from math import ceil, floor, sqrt

from tellfirst.domain.base import Frozen
from tellfirst.domain.outcome import Grade
from tellfirst.measurement.report import ForestRow

MOST = 40
"""More lines than that are no picture any more; the smallest outreaches are left out of it, not of the table."""

ROW, TOP, FOOT = 46, 10, 58
"""Heights in pixels: of a row, above the first, and of the axis with its words."""

_EDGE = 3.0
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_TICKS = 7
_LARGEST, _SMALLEST = 13.0, 6.0


class Line(Frozen):
    """Is one comparison: places in hundredths of the width, heights in pixels; `at` is None off the picture.

    `off_low` and `off_high` say that the interval goes on beyond the picture.
    """

    label: str
    figures: str
    grade: Grade
    pooled: bool
    y: int
    at: float | None
    low: float
    high: float
    off_low: bool
    off_high: bool
    size: float


class Tick(Frozen):
    """Is one mark of the axis, labelled in percentage points."""

    at: float
    label: str


class Plot(Frozen):
    """Is a forest plot: its lines, its axis, where no difference is, and how many lines were left out."""

    lines: tuple[Line, ...]
    ticks: tuple[Tick, ...]
    zero: float
    axis: int
    height: int
    left_out: int


def plot(rows: Sequence[ForestRow]) -> Plot | None:
    """Returns the plot of `rows` in their order, None without any.

    The axis holds the intervals of grade A, and at least every difference near them; others are cut off at its end.
    """
    if not rows:
        return None
    kept = _largest(rows)
    low, high = _range(kept)
    step = next((one for one in _STEPS if (high - low) / one <= _TICKS), _STEPS[-1])
    first, last = floor(low / step), ceil(high / step)
    low, high = first * step, last * step
    most = max(row.clusters for row in kept)

    def place(value: float) -> float:
        return round(_EDGE + (100 - 2 * _EDGE) * (min(max(value, low), high) - low) / (high - low), 2)

    return Plot(
        lines=tuple(
            Line(
                label=row.label,
                figures=f"{points(row.difference)} ({points(row.low)} to {points(row.high)})",
                grade=row.grade,
                pooled=row.kind == "pooled",
                y=TOP + ROW * number,
                at=place(row.difference) if low <= row.difference <= high else None,
                low=place(row.low),
                high=place(row.high),
                off_low=row.low < low,
                off_high=row.high > high,
                size=round(max(_SMALLEST, _LARGEST * sqrt(row.clusters / most)) if most else _SMALLEST, 1),
            )
            for number, row in enumerate(kept)
        ),
        ticks=tuple(Tick(at=place(one * step), label=_label(one * step, step)) for one in range(first, last + 1)),
        zero=place(0.0),
        axis=TOP + ROW * len(kept),
        height=TOP + ROW * len(kept) + FOOT,
        left_out=len(rows) - len(kept),
    )


def points(change: float) -> str:
    """Returns a difference in percentage points with its sign, as it is typeset."""
    return f"{100 * change:+.1f}".replace("-", "\u2212")


def _largest(rows: Sequence[ForestRow]) -> list[ForestRow]:
    pooled = [row for row in rows if row.kind == "pooled"]
    chosen = sorted((row for row in rows if row.kind != "pooled"), key=lambda row: -row.clusters)
    kept = {id(row) for row in (*pooled, *chosen[: max(0, MOST - len(pooled))])}
    return [row for row in rows if id(row) in kept]


def _range(rows: Sequence[ForestRow]) -> tuple[float, float]:
    sure = [row for row in rows if row.grade == "A"] or list(rows)
    low, high = min(0.0, *(row.low for row in sure)), max(0.0, *(row.high for row in sure))
    room = (high - low) or 0.01
    # So that no difference and both sides of it are always seen.
    return max(-1.0, low - room * 0.08), min(1.0, high + room * 0.25)


def _label(value: float, step: float) -> str:
    shown = f"{100 * value:+.{0 if step >= 0.01 else 1}f}".replace("-", "\u2212")
    return "0" if abs(value) < step / 2 else shown
