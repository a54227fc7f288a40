"""Prices: what a message costs on each channel, deployed as a file; an estimate of everything a plan promises."""

import tomllib
from collections.abc import Mapping
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from tellfirst.domain.base import Frozen, Outside
from tellfirst.domain.message import Channel
from tellfirst.errors import SettingsError

MICROS = 1_000_000


class Cost(Frozen):
    """Is an amount in millionths of `currency`; without a currency it is unknown."""

    micros: int = 0
    currency: str = ""


class Prices(Outside):
    """Is the file of prices: `each` is that of one unit on a channel, a segment of a text, or else a message."""

    currency: str = Field(pattern=r"^[A-Z]{3}$")
    each: dict[Channel, Decimal] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads the prices; raises SettingsError naming the file, the entry and the remedy."""
        try:
            prices = cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"the prices cannot be read ({type(error).__name__})",
                where=str(path),
                remedy="deploy them as UTF-8 text that the worker can read, or leave TELLFIRST_PRICES out",
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"not TOML: {error}", where=str(path), remedy="mend that line") from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            entry = ".".join(str(part) for part in first["loc"])
            raise SettingsError(
                f"{entry}: {first['msg']}", where=str(path), remedy="docs/operations.md shows the file's form"
            ) from None
        if wrong := [channel for channel, price in prices.each.items() if not 0 <= price <= 1_000]:
            raise SettingsError(
                "a price lies between 0 and 1,000", where=f"{path}: each.{wrong[0]}", remedy="mend that entry"
            )
        return prices

    def cost(self, units: Mapping[str, int]) -> Cost:
        """Returns what so many units on each channel come to, rounded up; unknown where one has no price."""
        prices: dict[str, Decimal] = {channel: price for channel, price in self.each.items()}  # noqa: C416 - wider keys
        if any(count and channel not in prices for channel, count in units.items()):
            return Cost()
        whole = sum((prices[channel] * count for channel, count in units.items() if count), Decimal(0))
        micros = (whole * MICROS).to_integral_value(rounding=ROUND_UP)
        return Cost(micros=int(micros), currency=self.currency)
