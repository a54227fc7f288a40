"""A pace spreads messages over time, whoever sends them."""

import threading

import pytest

from activities.pacing import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def rest(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("rate", "in_flight", "together"), [(0.5, 8, 1), (1, 8, 1), (1.9, 8, 1), (5, 8, 5), (100, 8, 8), (100, 200, 100)]
)
def test_what_leaves_together_is_a_second_at_most(rate: float, in_flight: int, together: int) -> None:
    assert Pace(rate).at_once(in_flight) == together


@pytest.mark.parametrize("rate", [0.25, 1, 7, 80])
def test_no_more_leave_in_any_stretch_of_time_than_its_rate_allows(rate: float) -> None:
    clock = Clock()
    pace = Pace(rate, monotonic=clock, rest=clock.rest)
    left: list[float] = []
    count = pace.at_once(8)
    while len(left) < 40 * count:
        if wait := pace.take(count):
            pace.rest(wait)
        else:
            left += [clock.now] * count
    for n, first in enumerate(left):
        for last in range(n, len(left)):
            assert last - n + 1 <= (left[last] - first) * rate + count + 1e-6
    assert len(left) >= (left[-1] - left[0]) * rate, "and none of its time is lost"


def test_time_that_was_not_used_is_not_made_up_for() -> None:
    clock = Clock()
    pace = Pace(1, monotonic=clock)
    assert pace.take(1) == 0
    clock.rest(60)
    assert pace.take(1) == 0
    assert pace.take(1) == 1


def test_of_many_pages_one_takes_the_turn() -> None:
    clock = Clock()
    pace = Pace(2, monotonic=clock)
    waits: list[float] = []
    together = threading.Barrier(8)

    def page() -> None:
        together.wait()
        waits.append(pace.take(1))

    threads = [threading.Thread(target=page) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [0] + [0.5] * 7
