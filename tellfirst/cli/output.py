"""What people and machines read: aligned tables, one JSON document, and on stderr errors and progress."""

import codecs
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO, TextIOWrapper
from typing import Literal

import typer
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from tellfirst.errors import TellfirstError

PAGE = 100
"""Columns of a page that is not on a terminal."""
UNWRAPPED = 10_000

Json = typer.Option("--json", help="Print one JSON document for machines.")


def visible(text: str, *, lines: bool = False) -> str:
    """Returns a text with an escape for all that a terminal would obey or not show; with `lines` it keeps its lines.

    What others wrote could else move the cursor, colour itself away, or be read in another order than it is sent.
    """
    if text.isprintable():
        return text
    return "".join(letter if _shows(letter) or (lines and letter == "\n") else _escaped(letter) for letter in text)


def shown(text: str, style: str = "") -> Text:
    """Returns what `put` prints of a text, in its lines; `style` is one of rich."""
    return Text(visible(text, lines=True), style=style)


def _shows(letter: str) -> bool:
    # Spaces of other widths stand in dates and amounts.
    return letter.isprintable() or letter == "\t" or unicodedata.category(letter) == "Zs"


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def put(*things: RenderableType, width: int = PAGE) -> None:
    """Prints for people: as wide as their terminal, `width` columns elsewhere, coloured only on a terminal.

    A text that is not ours goes through `shown` before.
    """
    if sys.stdout.isatty():
        Console(file=sys.stdout, highlight=False, markup=False).print(*things)
        return
    page = StringIO()
    Console(file=page, width=width, highlight=False, markup=False, color_system=None).print(*things)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in page.getvalue().splitlines())


def speak_any_encoding() -> None:
    """Lets both streams write what their encoding lacks as an escape, so that no answer ends half-way."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(document: object) -> None:
    """Prints the one JSON document of a command."""
    # The escapes of a narrow encoding are not those of JSON.
    narrow = codecs.lookup(sys.stdout.encoding or "utf-8").name != "utf-8"
    text = json.dumps(document, indent=2, ensure_ascii=narrow)
    # Such characters stand in strings alone, where an escape is the same character.
    sys.stdout.write(re.sub(r"[^ -~\n]", _escaped_in_json, text) + "\n")


def _escaped_in_json(found: re.Match[str]) -> str:
    return found[0] if _shows(found[0]) else json.dumps(found[0])[1:-1]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
    """Prints aligned columns; a pipe gets each row on one line, a terminal too narrow for that one line per cell."""
    cells = [[visible(str(cell)) for cell in row] for row in rows]
    if sys.stdout.isatty() and _breadth(columns, cells) > Console(file=sys.stdout).width:
        _print_cells(columns, cells)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    put(table, width=UNWRAPPED)


def _breadth(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    widths: list[int] = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
    return sum(widths) + 2 * (len(widths) - 1)


def _print_cells(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for place, row in enumerate(rows):
        if place:
            say("")
        for name, cell in zip(columns, row, strict=True):
            # Not through a console: a name that is cut in two cannot be copied.
            say(f"{name:<{max(map(len, columns))}}  {cell}")


def say(line: str) -> None:
    """Prints one line for people."""
    sys.stdout.write(f"{visible(line)}\n")


def note(line: str) -> None:
    """Prints one line beside the answer, on stderr."""
    sys.stderr.write(f"{visible(line)}\n")


def confirm(question: str) -> None:
    """Asks a person yes or no, and ends the command where they say no."""
    typer.confirm(visible(question), abort=True)


def fail(error: TellfirstError) -> typer.Exit:
    """Prints an error as one sentence and returns the exit that belongs to it."""
    note(" ".join(str(error).split()))
    return typer.Exit(error.exit_code)


def when(instant: datetime | None) -> str:
    """Returns an instant as people read it, always with its zone."""
    if instant is None:
        return "-"
    utc = instant.astimezone(UTC)
    return f"{utc:%a %d %b %Y, %H:%M:%S} UTC" if utc.second else f"{utc:%a %d %b %Y, %H:%M} UTC"


def length(duration: timedelta) -> str:
    """Returns a duration in its largest unit and the next one, such as `2 days 4 h`."""
    seconds, said = int(duration.total_seconds()), list[str]()
    for name, size in (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or said:
            said.append(f"{count} {'day' if name == 'days' and count == 1 else name}" if count else "")
    return " ".join(part for part in said[:2] if part) or "0 s"


def counted(count: int, one: str, many: str = "") -> str:
    """Returns a count with its noun, such as `1 row` or `1,204 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class _Rate(ProgressColumn):
    """Shows how many steps are done in a second, or in a minute where it is less than one."""

    def render(self, task: Task) -> Text:
        """Returns the rate of the last steps, nothing before there are two."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:,.0f} a second" if speed >= 1 else f"{speed * 60:,.0f} a minute")


@contextmanager
def progress(what: str, total: int | None, *, unit: Literal["", "bytes"] = "") -> Iterator[Callable[[int], None]]:
    """Yields what counts steps done, of `total` where that is known.

    Where stderr is a terminal a bar shows them, their rate and the time left, or the time taken without a total.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    counts = (DownloadColumn(), TransferSpeedColumn()) if unit else (MofNCompleteColumn(), _Rate())
    time = TimeElapsedColumn() if total is None else TimeRemainingColumn(elapsed_when_finished=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), *counts, time)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(visible(what), total=total)
        yield lambda steps: bar.advance(task, steps)


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """Yields what tells in a line how something stands; the line shows where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Console(stderr=True, markup=False).status("") as line:
        yield lambda said: line.update(shown(said))
