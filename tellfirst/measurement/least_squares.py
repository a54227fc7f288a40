"""Least squares over weeks that resemble their neighbours: coefficients with Newey and West's errors."""

from collections.abc import Sequence

from tellfirst.domain.base import Frozen
from tellfirst.measurement.numerics import t_two_sided

Matrix = list[list[float]]


class Fit(Frozen):
    """Is a fitted line of `n` values: per regressor a coefficient, Newey and West's error, and the `plain` one.

    The plain error takes every week for itself; neighbours are taken to be alike over `lags` weeks.
    """

    coefficients: tuple[float, ...]
    errors: tuple[float, ...]
    plain: tuple[float, ...]
    n: int
    lags: int

    @property
    def df(self) -> int:
        """Returns the degrees of freedom."""
        return self.n - len(self.coefficients)

    def margin(self, regressor: int) -> float:
        """Returns half the width of a coefficient's 95 % interval, from few weeks too.

        Of a few dozen weeks Newey and West's error is too small by a third. So it is widened by the share of the weeks
        that its lags take, and is never below the plain one. Source: Kiefer and Vogelsang, Econometric Theory 21 (2005)
        1130-1164, the critical values of Bartlett's weights.
        """
        taken = (self.lags + 1) / self.n
        wider = 1 + (2.9694 * taken + 0.4160 * taken**2 - 0.5324 * taken**3) / 1.96
        return t_two_sided(0.95, self.df) * max(self.errors[regressor] * wider, self.plain[regressor])


def fit(y: Sequence[float], x: Sequence[Sequence[float]], *, lags: int | None = None) -> Fit:
    """Returns `y` (n values) by least squares on `x` (n rows of k regressors), weeks being alike over `lags` of them.

    Bartlett's weights, times n / (n - k) for a small sample; without `lags` they are `usual_lags` of n. Raises
    ValueError unless n > k and the regressors differ. Source: Newey and West, Econometrica 55 (1987) 703-708.
    """
    n, k = len(y), len(x[0]) if x else 0
    if not 0 < k < n or any(len(row) != k for row in x) or len(x) != n:
        raise ValueError("least squares needs more values than regressors, and a row of these for each")
    inverse = _inverted([[sum(row[i] * row[j] for row in x) for j in range(k)] for i in range(k)])
    moments = [sum(row[i] * value for row, value in zip(x, y, strict=True)) for i in range(k)]
    beta = [sum(a * b for a, b in zip(row, moments, strict=True)) for row in inverse]
    left = [value - sum(b * of for b, of in zip(beta, row, strict=True)) for row, value in zip(x, y, strict=True)]
    scores = [[over * of for of in row] for row, over in zip(x, left, strict=True)]
    meat = [[sum(s[i] * s[j] for s in scores) for j in range(k)] for i in range(k)]
    lags = usual_lags(n) if lags is None else lags
    for lag in range(1, lags + 1):
        weight = 1 - lag / (lags + 1)
        for i in range(k):
            for j in range(k):
                pairs = zip(scores[lag:], scores, strict=False)
                meat[i][j] += weight * sum(now[i] * then[j] + then[i] * now[j] for now, then in pairs)
    spread = _times(_times(inverse, meat), inverse)
    noise = sum(over * over for over in left) / (n - k)
    return Fit(
        coefficients=tuple(beta),
        errors=tuple(max(0.0, spread[i][i] * n / (n - k)) ** 0.5 for i in range(k)),
        plain=tuple(max(0.0, inverse[i][i] * noise) ** 0.5 for i in range(k)),
        n=n,
        lags=lags,
    )


def usual_lags(n: int) -> int:
    """Returns over how many weeks neighbours are taken to be alike among `n`: 4 (n / 100)^(2/9), at least 1.

    Source: Newey and West, Review of Economic Studies 61 (1994) 631-653, the rule of thumb.
    """
    return max(1, int(4 * (n / 100) ** (2 / 9)))


def _times(a: Matrix, b: Matrix) -> Matrix:
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a]


def _inverted(matrix: Matrix) -> Matrix:
    k = len(matrix)
    rows = [[*row, *(float(i == j) for j in range(k))] for i, row in enumerate(matrix)]
    for i in range(k):
        best = max(range(i, k), key=lambda at: abs(rows[at][i]))
        rows[i], rows[best] = rows[best], rows[i]
        if abs(rows[i][i]) < 1e-12:
            raise ValueError("the regressors do not differ: one of them follows from the others")
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(k):
            if j != i:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[k:] for row in rows]
