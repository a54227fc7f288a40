"""`estimate`: what an experiment in a CSV file says, by the same formulas as our own outcomes."""

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from tellfirst.cli.csv_rows import SHOWN, Malformed, note_malformed, read_rows
from tellfirst.cli.output import Json, counted, note, print_json, print_table, say
from tellfirst.errors import InputError, RowError
from tellfirst.measurement.estimate import Estimate, Tally
from tellfirst.measurement.estimate import estimate as estimate_arms

OUTCOMES = {"0": False, "1": True, "0.0": False, "1.0": True}
MOST_ARMS = 20
"""More different values and the column is no arm but something else, perhaps people."""
_ROUNDED = 0.011
"""How far shares that were rounded, such as 0.33 three times, may be from 1 together."""


def estimate(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A CSV file in UTF-8, a row per unit.")],
    arm: Annotated[str, typer.Option(metavar="COLUMN", help="The column that names the arm.")],
    control: Annotated[str, typer.Option(metavar="VALUE", help="Its value for those who were held out.")],
    outcome: Annotated[str, typer.Option(metavar="COLUMN", help="The column of what they did: 0 or 1.")],
    unit: Annotated[
        str, typer.Option(metavar="COLUMN", help="What was drawn, such as the account; its rows count as one.")
    ] = "",
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARM=SHARE", help="Chance drew the arms with these shares, such as treated=0.9 or mail=1/3."
        ),
    ] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Compare the arms of an experiment.

    Each arm minus control, with 95 % intervals and the grade of the figures. Nothing is read but the file, and nothing
    kept.
    """
    tally = _count(file, arm=arm, outcome=outcome, unit=unit)
    arms, control = tally.arms, control.strip()
    if control not in arms or len(arms) < 2:
        raise InputError(
            "no row is of any other arm than control" if control in arms else f"no row is of the arm '{control}'",
            where=str(file),
            remedy=f"its arms are {_named(arms)}" if arms else "there are no rows",
        )
    expected = _shares(expect, arms) if expect else None
    found = estimate_arms(arms, control, expected=expected, crossed=tally.crossed)
    if tally.crossed:
        note(f"{counted(tally.crossed, 'unit')} in more than one arm; each counts in the arm that its first row names")
    if as_json:
        print_json(found.model_dump(exclude={"sentence"}))
    else:
        _tell(found, control, outcome)


def _count(file: Path, *, arm: str, outcome: str, unit: str) -> Tally:
    of_arm, of_outcome, of_unit = (name.strip().lower() for name in (arm, outcome, unit))
    tally = Tally()
    seen: set[str] = set()

    def build(row: dict[str, str]) -> None:
        name, did = row[of_arm], OUTCOMES.get(row[of_outcome])
        if not name:
            raise RowError("names no arm")
        if did is None:
            raise RowError("its outcome is neither 0 nor 1")
        if of_unit and not row[of_unit]:
            raise RowError("names no unit")
        seen.add(name)
        if len(seen) > MOST_ARMS:
            raise InputError(
                f"the column '{of_arm}' holds more than {MOST_ARMS} different values",
                where=str(file),
                remedy="name the column of the arm with --arm",
            )
        tally.add(name, did, row[of_unit] if of_unit else None)

    required = [name for name in (of_arm, of_outcome, of_unit) if name]
    shown: list[Malformed] = []
    malformed = 0
    for made in read_rows(file, columns=None, required=required, build=build):
        if isinstance(made, Malformed):
            malformed += 1
            if len(shown) < SHOWN:
                shown.append(made)
    if malformed:
        note_malformed(file, shown, malformed)
        # Whose outcome is missing is seldom chance: leaving them out would break what the draw made alike.
        raise InputError(
            f"{counted(malformed, 'malformed row')}, so nothing was compared",
            where=str(file),
            remedy="mend them; a unit without an outcome did not do it and has 0",
        )
    return tally


def _shares(given: Collection[str], arms: Collection[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for one in given:
        name, _, text = (part.strip() for part in one.rpartition("="))
        try:
            share = float(Fraction(text))
        except (ValueError, ZeroDivisionError):
            share = 0.0
        if not name or not 0 < share < 1 or name in shares:
            raise InputError(
                "an expected split is ARM=SHARE, each arm once, its share between 0 and 1",
                where="--expect",
                remedy="such as treated=0.9 and control=0.1",
            )
        if name not in arms:
            raise InputError(f"no row is of the arm '{name}'", where="--expect", remedy=f"the arms are {_named(arms)}")
        shares[name] = share
    missing = [name for name in arms if name not in shares]
    if len(missing) == 1 and sum(shares.values()) < 1:
        shares[missing.pop()] = 1 - sum(shares.values())
    if missing:
        raise InputError(f"no share is expected for {_named(missing)}", where="--expect", remedy="name every arm")
    total = sum(shares.values())
    if abs(total - 1) > _ROUNDED:
        raise InputError(f"the shares add up to {total:.4g} instead of 1", where="--expect")
    return {name: share / total for name, share in shares.items()}


def _named(arms: Collection[str]) -> str:
    return ", ".join(f"'{arm}'" for arm in arms)


def _tell(found: Estimate, control: str, outcome: str) -> None:
    columns = ("arm", "units", outcome, "rate", "difference", "95 % interval", "relative", "95 % interval of it")
    rows = [(control, f"{found.control.n:,}", f"{found.control.events:,}", _share(found.control.rate), *("-",) * 4)]
    rows += [
        (
            one.arm,
            f"{one.n:,}",
            f"{one.events:,}",
            _share(one.rate),
            _signed(one.difference, " pp"),
            _between(one.ci_low, one.ci_high, " pp"),
            _signed(one.relative, " %"),
            _between(one.relative_ci_low, one.relative_ci_high, " %"),
        )
        for one in found.arms
    ]
    print_table(columns, rows, numbers=("units", outcome, "rate", "difference", "relative"))
    if found.srm_p is not None:
        say(f"probability of such a split: {found.srm_p:.3g}")
    say(f"grade {found.grade}: {found.sentence}")
    say("difference is the arm minus control, in percentage points; docs/measurement.md tells how it is computed")


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.2%}"


def _signed(change: float | None, unit: str) -> str:
    return "-" if change is None else f"{100 * change:+.2f}{unit}"


def _between(low: float | None, high: float | None, unit: str) -> str:
    if low is None and high is None:
        return "-"
    return f"{_signed(low, unit)} to {'no bound' if high is None else _signed(high, unit)}"
