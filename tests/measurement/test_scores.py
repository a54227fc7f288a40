import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellfirst.measurement.intervals import newcombe
from tellfirst.measurement.scores import difference_p, koopman, miettinen_nurminen

# DescTools' tests for the first, third and fourth row; the others by the score test solved another way.
MIETTINEN_NURMINEN = [
    (56, 70, 48, 80, 0.0528, 0.3382),
    (9, 10, 3, 10, 0.1700, 0.8406),
    (10, 10, 0, 20, 0.7156, 1.0),
    (84, 101, 89, 105, -0.1191, 0.0860),
    (5, 56, 0, 29, -0.0326, 0.1933),
    (0, 10, 0, 20, -0.1658, 0.2844),
]

counts = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("x_t", "n_t", "x_c", "n_c", "low", "high"), MIETTINEN_NURMINEN)
def test_miettinen_nurminen_gives_the_known_limits(
    x_t: int, n_t: int, x_c: int, n_c: int, low: float, high: float
) -> None:
    found = miettinen_nurminen(x_t, n_t, x_c, n_c)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5.1e-5)
    assert found.difference == pytest.approx(x_t / n_t - x_c / n_c)


def test_without_its_correction_it_would_be_mees() -> None:
    # Mee's interval lacks N/(N-1) and is narrower: 0.0533 to 0.3377 and 0.1821 to 0.8370.
    for table, low, high in (((56, 70, 48, 80), 0.0533, 0.3377), ((9, 10, 3, 10), 0.1821, 0.8370)):
        found = miettinen_nurminen(*table)
        assert found.low < low < high < found.high


def test_koopman_gives_the_published_limits() -> None:
    # Koopman, Biometrics 40 (1984) 513-517: 2.94 to 7.15.
    found = koopman(36, 40, 16, 80)
    assert (found.ratio, found.low, found.high) == pytest.approx((4.5, 2.9396, 7.1522), abs=5.1e-5)


def test_a_ratio_has_a_bound_where_there_is_one() -> None:
    assert koopman(0, 10, 3, 20).low == 0.0
    assert koopman(0, 10, 3, 20).high == pytest.approx(2.179222, abs=1e-6)
    nobody = koopman(3, 10, 0, 20)
    assert (nobody.ratio, nobody.high) == (None, None)
    assert nobody.low > 1
    assert koopman(0, 5, 0, 5).model_dump() == {"ratio": None, "low": 0.0, "high": None}
    alike = koopman(10, 10, 10, 10)
    assert alike.low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-6)
    assert alike.high == pytest.approx(1 / alike.low)


def test_arms_that_are_alike_are_no_surprise() -> None:
    assert difference_p(5, 50, 10, 100) == 1.0
    assert difference_p(0, 5, 0, 5) == 1.0
    assert difference_p(10, 10, 0, 20) < 1e-6


@given(counts, counts)
def test_score_intervals_hold_their_estimate_and_turn_with_the_arms(t: tuple[int, int], c: tuple[int, int]) -> None:
    found, turned = miettinen_nurminen(*t, *c), miettinen_nurminen(*c, *t)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
    ratio, over = koopman(*t, *c), koopman(*c, *t)
    assert 0 <= ratio.low <= (ratio.ratio or 0.0 if t[0] == 0 else ratio.ratio or ratio.low)
    if ratio.ratio is not None and ratio.high is not None:
        assert ratio.ratio <= ratio.high
    if over.high is not None and ratio.low:
        assert over.high == pytest.approx(1 / ratio.low)


@given(counts, counts)
def test_the_interval_and_the_test_say_the_same(t: tuple[int, int], c: tuple[int, int]) -> None:
    found, p = miettinen_nurminen(*t, *c), difference_p(*t, *c)
    if abs(p - 0.05) > 1e-6:
        assert (found.low <= 0 <= found.high) == (p > 0.05)


@pytest.mark.parametrize("level", [0, 1, -0.5, float("nan")])
def test_an_impossible_level_is_refused(level: float) -> None:
    for interval in (newcombe, miettinen_nurminen, koopman):
        with pytest.raises(ValueError, match="level of an interval"):
            interval(1, 5, 2, 5, level=level)


@pytest.mark.parametrize(("events", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts_are_refused(events: int, n: int) -> None:
    for function in (miettinen_nurminen, koopman, difference_p):
        for table in ((events, n, 1, 5), (1, 5, events, n)):
            with pytest.raises(ValueError, match=r"at least one unit|events lie"):
                function(*table)
