"""What leaves together is a second's worth at most, counted as the channel's provider counts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.pacing import Pace
from tellfirst.domain.message import Rendered
from tellfirst.store.engine import Database, open_engine
from tellfirst.store.migrations import migrate
from tellfirst.store.rates import Rates

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def pace(folder: Path, **rates: float) -> Pace:
    engine = open_engine(f"sqlite:///{folder / 'tellfirst.db'}")
    migrate(engine)
    return Pace(Rates(Database(engine), rates), now=lambda: NOW)


def texts(*sizes: int) -> list[Rendered]:
    """Returns texts of so many segments."""
    return [Rendered(body="x" * (153 * size if size > 1 else 10)) for size in sizes]


@pytest.mark.parametrize(
    ("rate", "sizes", "together", "units"),
    [
        (0.5, [1, 1], 1, 1),
        (1.9, [1, 1], 1, 1),
        (5, [1] * 8, 5, 5),
        (100, [1] * 8, 8, 8),
        (5, [3, 2, 1], 2, 5),
        (5, [3, 3], 1, 3),
        (1, [3, 1], 1, 3),
    ],
)
def test_what_leaves_together_is_a_second_at_most(
    tmp_path: Path, rate: float, sizes: list[int], together: int, units: int
) -> None:
    batch, taken = pace(tmp_path, sms=rate).fit("sms", texts(*sizes), lambda text: text)
    assert (len(batch), taken) == (together, units)


def test_elsewhere_a_message_is_a_message(tmp_path: Path) -> None:
    batch, taken = pace(tmp_path, email=5).fit("email", texts(6, 6, 6), lambda text: text)
    assert (len(batch), taken) == (3, 3)


def test_a_text_that_cannot_be_made_takes_the_time_of_one(tmp_path: Path) -> None:
    assert pace(tmp_path, sms=5).fit("sms", texts(2), lambda _: None)[1] == 1


def test_without_a_pace_all_leave_and_nothing_is_counted(tmp_path: Path) -> None:
    free = pace(tmp_path)
    batch, taken = free.fit("sms", texts(3, 3), lambda _: pytest.fail("it is not even rendered"))
    assert (len(batch), taken, free.take("sms", taken, urgent=False)) == (2, 0, 0)


def test_a_pace_set_meanwhile_is_heard_half_a_second_later(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'tellfirst.db'}")
    migrate(engine)
    rates = Rates(Database(engine))
    seconds = iter((0.0, 0.4, 0.5, -9.0))
    free = Pace(rates, now=lambda: NOW + timedelta(seconds=next(seconds)))
    assert free.fit("sms", texts(1, 1), lambda text: text)[1] == 0
    rates.change("sms", 1, by="ana", at=NOW)
    taken = [free.fit("sms", texts(1, 1), lambda text: text)[1] for _ in range(3)]
    assert taken == [0, 1, 1], "nor is a clock that was put back believed"


def test_the_clock_is_the_real_one(tmp_path: Path) -> None:
    slow = pace(tmp_path, sms=0.5)
    assert [slow.take("sms", 1, urgent=False) for _ in range(2)] == [0, 2]
