import pytest

from tellfirst.measurement.intervals import newcombe
from tellfirst.measurement.sequential import SHARPEST_AT, confidence_margin, mixture_margin, reading


@pytest.mark.parametrize(("n", "margin"), [(100, 0.303781), (10_000, 0.035935)])
def test_the_margin_of_the_mixture(n: int, margin: float) -> None:
    # WannabeSmith/confseq, std_conjmix_margin with rho2 = 0.1.
    assert mixture_margin(n, 0.1) == pytest.approx(margin, abs=5.1e-7)


def test_the_published_reading() -> None:
    # gbstats' own test of its sequential test; its variance is p(1-p)/n, as ours.
    found = reading(2_422, 3_461, 1_396, 3_000, sharpest_at=5_000).now
    assert found is not None
    assert found.difference == pytest.approx(0.23446, abs=5.1e-6)
    as_theirs = sum(p * (1 - p) / n for p, n in ((2_422 / 3_461, 3_461), (1_396 / 3_000, 3_000)))
    half = confidence_margin(as_theirs, 6_461)
    assert (found.difference - half, found.difference + half) == pytest.approx((0.198049, 0.270880), abs=5.1e-6)
    assert found.low < found.difference - half < found.difference + half < found.high, "ours is the more careful one"
    unbiased = sum(p * (1 - p) / (n - 1) for p, n in ((2_422 / 3_461, 3_461), (1_396 / 3_000, 3_000)))
    half = confidence_margin(unbiased, 6_461)
    assert (found.difference - half, found.difference + half) == pytest.approx((0.198043, 0.270886), abs=5.1e-7)


def test_looking_often_costs_width() -> None:
    n_t, n_c = SHARPEST_AT * 9 // 10, SHARPEST_AT // 10
    often, once = reading(n_t // 5, n_t, n_c // 5, n_c).now, newcombe(n_t // 5, n_t, n_c // 5, n_c)
    assert often is not None
    assert (often.high - often.low) / (once.high - once.low) == pytest.approx(1.55, abs=0.02)


def test_too_few_contacts_are_no_reading() -> None:
    assert reading(89, 900, 10, 100).now is None
    assert reading(89, 900, 10, 100).contacted == 99
    assert reading(90, 900, 10, 100).now is not None
    assert reading(100, 900, 0, 100).now is None
    assert reading(500, 900, 100, 100).now is None


def test_bounds_end_where_shares_end() -> None:
    found = reading(99, 100, 1, 100).now
    assert found is not None
    assert found.high == 1.0


@pytest.mark.parametrize(
    ("variance", "n", "sharpest_at", "level"),
    [(-1, 5, 5, 0.95), (float("nan"), 5, 5, 0.95), (1, 0, 5, 0.95), (1, 5, 0, 0.95), (1, 5, 5, 1), (1, 5, 5, 0)],
)
def test_impossible_readings_are_refused(variance: float, n: int, sharpest_at: int, level: float) -> None:
    with pytest.raises(ValueError):
        confidence_margin(variance, n, sharpest_at=sharpest_at, level=level)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="events lie"):
        reading(6, 5, 1, 5)
