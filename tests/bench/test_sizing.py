"""docs/sizing.md cannot lie: its tables are what docs/figures/ says, its prices what the price list reckons."""

import pytest

from tests.architecture.documents import ROOT
from tests.bench.sizing import BLOCK, COSTS, MILLIONS, NOT_YET, PAGE, Measured, Prices, pages, read, written


@pytest.fixture
def prices() -> Prices:
    return read()[1]


def test_the_page_says_what_was_measured() -> None:
    page = PAGE.read_text()
    assert page == written(page, pages(*read())), "run `python -m tests.bench.sizing` and look at the difference"


def test_every_mark_is_filled_and_every_table_stands_somewhere() -> None:
    assert sorted(mark[2] for mark in BLOCK.finditer(PAGE.read_text())) == sorted(pages(*read()))
    with pytest.raises(KeyError):
        written("<!-- measured: nothing -->\n<!-- end -->", {})


def test_what_is_looked_up_is_what_the_benchmarks_print() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "scripts").glob("bench_*.py"))
    roles = ("workers", "web", "Temporal server", "database")
    printed = {name for name in (one[2] for one in COSTS) if f'"{name}"' in source or f'f"{name},' in source}
    by_role = {f"processor seconds per 1,000, {role}" for role in roles}
    assert {one[2] for one in COSTS} - printed <= by_role
    assert all(f'"{role}"' in source for role in roles)


def test_what_was_not_measured_is_not_made_up(prices: Prices) -> None:
    nothing = Measured(read()[0].bench.model_copy(update={"benchmarks": ()}))
    made = pages(nothing, prices)
    assert made["costs"].count(NOT_YET) == 2 * len(COSTS) - 1
    assert "taken as 12 per 1,000 of many and 20 of one" in made["cloud"]
    assert made["cluster"].count(NOT_YET) == 4 * len(MILLIONS)
    assert made["growth"].count(NOT_YET) == 2


@pytest.mark.parametrize(
    ("millions", "price"),
    # The first is the example of the price list itself.
    [(11.25, 525), (0, 0), (1, 50), (5, 250), (200, 5_925), (201, 5_950), (2_000, 50_925)],
)
def test_actions_cost_what_the_price_list_says(prices: Prices, millions: float, price: float) -> None:
    assert prices.of_actions(millions * 1e6) == pytest.approx(price)


@pytest.mark.parametrize(("consumed", "whole"), [(0, 500), (4_000, 4_500), (6_000, 6_600)])
def test_a_plan_costs_its_least_or_its_share(prices: Prices, consumed: float, whole: float) -> None:
    assert prices.whole(consumed) == pytest.approx(whole)


def test_histories_cost_while_they_are_open_and_while_they_are_kept(prices: Prices) -> None:
    use = prices.use.model_copy(update={"days_open": 1.0, "days_kept": 5.0})
    some = prices.model_copy(update={"use": use})
    # 30 GB: 720 GBh open and 3,600 GBh kept, the example of the price list.
    assert some.of_storage(3_000_000, 10_000) == pytest.approx(30.24 + 3.78)
