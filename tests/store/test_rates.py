"""The pace of a channel is kept by all processes together, changed at once, and urgent messages go first."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.store.engine import Database
from tellfirst.store.rates import YIELD, Rate, Rates

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_without_a_pace_nothing_waits(database: Database) -> None:
    rates = Rates(database)
    assert rates.of("sms") == Rate()
    assert [rates.take("sms", 500, now=NOW) for _ in range(3)] == [0, 0, 0]
    assert rates.all() == {}


@pytest.mark.parametrize("rate", [0.25, 7, 80])
def test_no_more_leave_in_any_stretch_of_time_than_it_allows(database: Database, rate: float) -> None:
    # Two processes that know nothing of each other but what is stored.
    processes = [Rates(database, {"sms": rate}), Rates(database, {"sms": rate})]
    units = max(1, min(8, int(rate)))
    now, left = NOW, Counter[datetime]()
    turn = 0
    while left.total() < 12 * units:
        turn += 1
        if wait := processes[turn % 2].take("sms", units, now=now):
            now += timedelta(seconds=wait)
        else:
            left[now] += units
    times = sorted(left)
    for n, first in enumerate(times):
        for last in times[n:]:
            together = sum(left[at] for at in times if first <= at <= last)
            assert together <= (last - first).total_seconds() * rate + units + 1e-3
    assert left.total() >= (times[-1] - times[0]).total_seconds() * rate, "and none of its time is lost"


def test_time_that_was_not_used_is_not_made_up_for(database: Database) -> None:
    rates = Rates(database, {"sms": 1})
    assert rates.take("sms", 1, now=NOW) == 0
    assert rates.take("sms", 1, now=after(60)) == 0
    assert rates.take("sms", 1, now=after(60)) == 1


@pytest.mark.parametrize("rate", [0.25, 80])
def test_nobody_waits_for_a_clock_that_was_set_back(database: Database, rate: float) -> None:
    rates = Rates(database, {"sms": rate})
    assert rates.take("sms", 1, now=after(86_400)) == 0
    assert rates.take("sms", 1, now=after(86_400), urgent=True) > 0
    assert rates.take("sms", 1, now=NOW) == 0, "not tomorrow"
    assert rates.take("sms", 1, now=NOW) == pytest.approx(1 / rate), "and then it counts again"


def test_channels_do_not_wait_for_each_other(database: Database) -> None:
    rates = Rates(database, {"sms": 1, "voice": 1})
    assert rates.take("sms", 30, now=NOW) == 0
    assert rates.take("voice", 1, now=NOW) == 0
    assert rates.take("sms", 1, now=NOW) == 30


def test_of_many_pages_one_takes_the_turn(database: Database) -> None:
    waits: list[float] = []
    together = threading.Barrier(8)

    def page() -> None:
        rates = Rates(database, {"sms": 2})
        together.wait()
        waits.append(rates.take("sms", 1, now=NOW))

    threads = [threading.Thread(target=page) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == [0] + [0.5] * 7


def test_a_change_holds_at_once_and_for_everybody(database: Database) -> None:
    one, other = Rates(database, {"sms": 0.01}), Rates(database, {"sms": 0.01})
    assert one.take("sms", 1, now=NOW) == 0
    assert other.take("sms", 1, now=NOW) == 100
    one.change("sms", 10, by="ana", at=after(1))
    assert other.of("sms") == Rate(per_second=10, by="ana", at=after(1))
    assert [other.take("sms", 1, now=after(1)) for _ in range(2)] == [0, 0.1]
    one.change("sms", 0, by="ana", at=after(2))
    assert other.take("sms", 500, now=after(2)) == 0 == other.take("sms", 500, now=after(2))
    assert other.all()["sms"].per_second is None
    one.change("sms", None, by="ana", at=after(3))
    assert other.of("sms").per_second == 0.01
    one.change("voice", 2, by="ana", at=NOW)
    assert list(other.all()) == ["sms", "voice"]


def test_whatever_is_urgent_goes_first(database: Database) -> None:
    campaign, outage = Rates(database, {"sms": 1}), Rates(database, {"sms": 1})
    assert campaign.take("sms", 1, now=NOW) == 0
    assert outage.take("sms", 1, now=after(0.5), urgent=True) == 0.5
    # Whoever asks first when it is free again: the campaign steps back, and the outage gets it.
    assert campaign.take("sms", 1, now=after(1)) == pytest.approx(1.5)
    assert outage.take("sms", 1, now=after(1.1), urgent=True) == 0
    assert campaign.take("sms", 1, now=after(2.2)) == pytest.approx(0.3)
    assert campaign.take("sms", 1, now=after(0.5) + YIELD) == 0, "and not for longer than it is waited for"


def test_of_a_hundred_and_one_the_urgent_one_waits_for_one_turn(database: Database) -> None:
    rates, now = Rates(database, {"sms": 1}), NOW
    order: list[str] = []
    pages = ["campaign"] * 3
    while len(order) < 8:
        if len(order) == 3 and "outage" not in pages:
            pages.append("outage")
        waits = []
        for page in pages:
            if wait := rates.take("sms", 1, now=now, urgent=page == "outage"):
                waits.append(wait)
            else:
                order.append(page)
        now += timedelta(seconds=min(0.5, *waits))
    assert order.index("outage") <= 4, order
    assert order[4:] == ["outage"] * 4, "and keeps its turn while it has something to say"
