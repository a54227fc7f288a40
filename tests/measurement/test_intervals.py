import csv
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.measurement.intervals import newcombe, wilson

HILLSTROM = Path(__file__).parents[3] / "shared" / "data" / "hillstrom" / "hillstrom.csv"

# Newcombe 1998a (Statistics in Medicine 17, 857-872), Table I, method 3.
WILSON = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]

# Newcombe 1998b (Statistics in Medicine 17, 873-890), Table II, method 10; the last row from DescTools' own tests.
NEWCOMBE = [
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0),
    (10, 10, 0, 10, 0.6075, 1.0),
    (84, 101, 89, 105, -0.1177, 0.0851),
]

# Hillstrom 2008, visits and conversions against no e-mail: computed independently from the published file.
HILLSTROM_VISITS = [
    (3_894, 21_307, 2_262, 21_306, 0.076590, 0.069953, 0.083227),
    (3_238, 21_387, 2_262, 21_306, 0.045233, 0.038894, 0.051574),
]

counts = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("events", "n", "low", "high"), WILSON)
def test_wilson_gives_the_published_limits(events: int, n: int, low: float, high: float) -> None:
    assert wilson(events, n) == pytest.approx((low, high), abs=5.1e-5)


@pytest.mark.parametrize(("x_t", "n_t", "x_c", "n_c", "low", "high"), NEWCOMBE)
def test_newcombe_gives_the_published_limits(x_t: int, n_t: int, x_c: int, n_c: int, low: float, high: float) -> None:
    found = newcombe(x_t, n_t, x_c, n_c)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5.1e-5)
    assert found.difference == pytest.approx(x_t / n_t - x_c / n_c)


@pytest.mark.parametrize(("x_t", "n_t", "x_c", "n_c", "difference", "low", "high"), HILLSTROM_VISITS)
def test_newcombe_gives_the_hillstrom_limits(
    x_t: int, n_t: int, x_c: int, n_c: int, difference: float, low: float, high: float
) -> None:
    found = newcombe(x_t, n_t, x_c, n_c)
    assert (found.difference, found.low, found.high) == pytest.approx((difference, low, high), abs=5.1e-7)


def test_newcombe_on_the_real_experiment() -> None:
    if not HILLSTROM.exists():
        pytest.skip("the Hillstrom data is not beside this checkout (../shared/data/hillstrom/hillstrom.csv)")
    people, visits, conversions = Counter[str](), Counter[str](), Counter[str]()
    with HILLSTROM.open(newline="") as file:
        for row in csv.DictReader(file):
            people[row["segment"]] += 1
            visits[row["segment"]] += int(row["visit"])
            conversions[row["segment"]] += int(row["conversion"])
    mens, none = "Mens E-Mail", "No E-Mail"
    visited = newcombe(visits[mens], people[mens], visits[none], people[none])
    bought = newcombe(conversions[mens], people[mens], conversions[none], people[none])
    assert (visited.difference, visited.low, visited.high) == pytest.approx((0.076590, 0.069953, 0.083227), abs=5.1e-7)
    assert (bought.difference, bought.low, bought.high) == pytest.approx((0.006805, 0.005014, 0.008641), abs=5.1e-7)


@given(counts, counts)
def test_newcombe_holds_its_difference_and_turns_with_the_arms(t: tuple[int, int], c: tuple[int, int]) -> None:
    found, turned = newcombe(*t, *c), newcombe(*c, *t)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


@given(counts)
def test_wilson_holds_its_share(count: tuple[int, int]) -> None:
    low, high = wilson(*count)
    assert 0 <= low <= count[0] / count[1] <= high <= 1


def test_a_higher_level_is_wider() -> None:
    narrow, wide = newcombe(5, 50, 8, 50), newcombe(5, 50, 8, 50, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(("events", "n", "level"), [(0, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 0), (1, 5, 1)])
def test_impossible_counts_are_refused(events: int, n: int, level: float) -> None:
    with pytest.raises(ValueError, match=r"at least one unit|events lie|level of an interval"):
        wilson(events, n, level)
    with pytest.raises(ValueError, match=r"at least one unit|events lie|level of an interval"):
        newcombe(1, 5, events, n, level)
