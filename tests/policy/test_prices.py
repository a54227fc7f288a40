"""Prices: read from a file, multiplied exactly, and never guessed."""

from decimal import Decimal
from pathlib import Path

import pytest

from tellfirst.errors import SettingsError
from tellfirst.policy.prices import Cost, Prices

PRICES = Prices.model_validate({"currency": "EUR", "each": {"sms": Decimal("0.0075"), "in_app": 0}})


def test_units_cost_what_the_file_says_to_the_millionth(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('currency = "EUR"\n[each]\nsms = 0.0075\nin_app = "0"\n')
    assert Prices.load(path) == PRICES
    assert PRICES.cost({"sms": 12_000}) == Cost(micros=90_000_000, currency="EUR")
    assert PRICES.cost({"sms": 3, "in_app": 1_000_000}) == Cost(micros=22_500, currency="EUR")
    assert PRICES.cost({}) == Cost(currency="EUR")


def test_a_fraction_of_a_millionth_is_rounded_up() -> None:
    prices = Prices.model_validate({"currency": "EUR", "each": {"sms": Decimal("0.0000001")}})
    assert prices.cost({"sms": 11}).micros == 2


def test_a_channel_without_a_price_leaves_the_cost_unknown() -> None:
    assert PRICES.cost({"sms": 1, "email": 1}) == Cost()
    assert PRICES.cost({"sms": 1, "email": 0}).currency == "EUR"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("currency =", "not TOML"),
        ('currency = "EUR"', "each: Field required"),
        ('currency = "euro"\n[each]\nsms = 1', "currency: "),
        ('currency = "EUR"\n[each]\nfax = 1', "each.fax"),
        ('currency = "EUR"\n[each]\nsms = -1', "between 0 and 1,000"),
        ('currency = "EUR"\n[each]\nsms = nan', "each.sms: "),
    ],
)
def test_a_wrong_file_is_refused_naming_the_entry(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=why) as caught:
        Prices.load(path)
    assert "prices.toml" in str(caught.value)


def test_a_missing_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="leave TELLFIRST_PRICES out"):
        Prices.load(tmp_path / "none.toml")
