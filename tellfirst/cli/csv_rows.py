"""CSV files from outside: every row is checked before anything is kept, and no value of a row is ever shown."""

import csv
from collections.abc import Callable, Collection, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TypeVar

from tellfirst.cli.output import counted, note, progress
from tellfirst.domain.base import Frozen
from tellfirst.errors import InputError, RowError

T = TypeVar("T")

SHOWN = 50
"""Malformed rows told one by one."""


class Malformed(Frozen):
    """Is one row that was left out: the line it begins on, and why, never its content."""

    line: int
    reason: str


def read_rows(
    path: Path,
    *,
    columns: Collection[str] | None,
    required: Collection[str],
    build: Callable[[dict[str, str]], T],
    doing: str = "reading",
) -> Iterator[T | Malformed]:
    """Yields the rows of a CSV file in UTF-8 as `build` makes them; a row for which it raises RowError is malformed.

    Names of columns are given and handed on in lower case; without `columns` a file may have others than the required.
    Rows are read one by one, however many there are. Raises InputError for a file that cannot be read as a table of
    these columns.
    """
    try:
        size = path.stat().st_size
        with (
            path.open(encoding="utf-8-sig", newline="") as file,
            progress(f"{doing} {path.name}", size, unit="bytes") as step,
        ):
            lines = _lines(_counting(file, step), path)
            _, header = next(lines, (0, []))
            names = _header(header, path, columns, required)
            for line, cells in lines:
                try:
                    made: T | Malformed = build(_row(names, cells))
                except RowError as error:
                    made = Malformed(line=line, reason=error.what)
                yield made
    except OSError as error:
        why = f"cannot be read: {error.strerror or 'no such file'}"
        raise InputError(why, where=str(path), remedy="check the path") from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=str(path), remedy="save it as UTF-8") from None


def tell_malformed(path: Path, malformed: list[Malformed], *, strict: bool) -> None:
    """Names the malformed rows on stderr; with `strict` raises InputError when there is one."""
    note_malformed(path, malformed[:SHOWN], len(malformed))
    if malformed and strict:
        raise InputError(
            f"{counted(len(malformed), 'malformed row')}, so nothing was loaded",
            where=str(path),
            remedy="mend them, or import without --strict to skip them",
        )


def note_malformed(path: Path, shown: Sequence[Malformed], total: int) -> None:
    """Names on stderr the first of `total` malformed rows."""
    for row in shown:
        note(f"{path.name}, line {row.line}: {row.reason}")
    if total > len(shown):
        note(f"{path.name}: and {counted(total - len(shown), 'more malformed row')}")


def _counting(file: TextIOWrapper, step: Callable[[int], None]) -> Iterator[str]:
    for line in file:
        step(len(line.encode()))
        yield line


def _lines(text: Iterator[str], path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error:
            # A quote that is never closed swallows all rows after it: nothing behind it can be trusted.
            raise InputError(
                f"line {begins}: the quotes of this row are broken", where=str(path), remedy="export the file again"
            ) from None
        if cells is None:
            return
        if cells:
            yield begins, cells


def _header(cells: list[str], path: Path, columns: Collection[str] | None, required: Collection[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    if not names:
        raise InputError("is empty", where=str(path), remedy="the first line names the columns")
    unknown = [str(place) for place, name in enumerate(names, start=1) if columns is not None and name not in columns]
    given = names if columns is not None else [name for name in names if name in required]
    if unknown or len(set(given)) != len(given):
        raise InputError(
            # Told by place: where the first line is missing, its cells are somebody's data.
            f"{'column' if len(unknown) == 1 else 'columns'} {_list(unknown)} not known"
            if unknown
            else "a column is named twice",
            where=f"{path}, line 1",
            remedy=_separated(names) or (f"its columns may be {', '.join(columns)}" if columns else None),
        )
    missing = [name for name in required if name not in names]
    if missing:
        raise InputError(
            f"the column '{missing[0]}' is missing",
            where=f"{path}, line 1",
            remedy=_separated(names) or "the first line names the columns",
        )
    return names


def _list(places: list[str]) -> str:
    if len(places) == 1:
        return f"{places[0]} is"
    return f"{', '.join(places[:-1])} and {places[-1]} are"


def _separated(names: list[str]) -> str:
    for sign, word in ((";", "semicolons"), ("\t", "tabs")):
        if any(sign in name for name in names):
            return f"it is separated by {word}; export it with commas"
    if any("\x00" in name for name in names):
        return "it is no text; export it as CSV"
    return ""


def _row(names: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(names):
        raise RowError(f"has {counted(len(cells), 'cell')} instead of {len(names)}")
    if any("\x00" in cell for cell in cells):
        raise RowError("holds a NUL character")
    return {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
