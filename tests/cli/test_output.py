"""Tables fit where they are read, and a terminal is told how far a command came: at which rate, how much longer."""

import re
import sys
from functools import partialmethod
from io import StringIO
from typing import Literal

import pytest
from rich.progress import Progress, Task, TaskID
from rich.text import Text

from tellfirst.cli.output import _Rate, print_table, progress, status

NAME = "outreach/late_delivery/2026-11-22T08/1"
COLUMNS, ROWS = ("outreach", "recipients"), [(NAME, "12"), ("outreach/x/y/1", "3")]


class Terminal(StringIO):
    """Is a stream that a person looks at."""

    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, stream: StringIO, columns: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", stream)
    print_table(COLUMNS, ROWS, numbers=("recipients",))
    return [line.rstrip() for line in Text.from_ansi(stream.getvalue()).plain.splitlines()]


def test_a_narrow_terminal_gets_names_that_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(monkeypatch, Terminal(), len(NAME) + len("recipients") + 1) == [
        f"outreach    {NAME}",
        "recipients  12",
        "",
        "outreach    outreach/x/y/1",
        "recipients  3",
    ]


@pytest.mark.parametrize("stream", [StringIO(), Terminal()])
def test_a_wide_terminal_and_a_pipe_get_a_row_a_line(monkeypatch: pytest.MonkeyPatch, stream: StringIO) -> None:
    lines = printed(monkeypatch, stream, 80 if stream.isatty() else 20)
    assert [line.split() for line in lines] == [["outreach", "recipients"], [NAME, "12"], ["outreach/x/y/1", "3"]]


def drawn(monkeypatch: pytest.MonkeyPatch, stream: StringIO, total: int | None, *, unit: Literal["", "bytes"]) -> str:
    """Returns what a progress of ten seconds, twenty steps each, left on stderr at its last drawing."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    seconds = iter(range(1_000))
    monkeypatch.setattr(Progress, "__init__", partialmethod(Progress.__init__, get_time=lambda: float(next(seconds))))
    with progress("reading [x]", total, unit=unit) as step:
        for _ in range(10):
            step(20)
    return Text.from_ansi(stream.getvalue()).plain


@pytest.mark.parametrize(
    ("total", "unit", "seen"),
    [
        (None, "", r"reading \[x\].* 200/\? +\d+ a second 0:00:\d\d"),
        (1_000, "", r"reading \[x\].* 200/1000 +\d+ a second 0:\d\d:\d\d"),
        (1_000, "bytes", r"reading \[x\].* 0\.2/1\.0 kB +[\d.]+ bytes/s 0:\d\d:\d\d"),
    ],
)
def test_a_bar_tells_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, total: int | None, unit: Literal["", "bytes"], seen: str
) -> None:
    assert re.search(seen, drawn(monkeypatch, Terminal(), total, unit=unit))


def test_less_than_one_a_second_is_told_by_the_minute() -> None:
    task = Task(TaskID(0), "", 10, 5, _get_time=float, finished_speed=0.25)
    assert _Rate().render(task).plain == "15 a minute"
    assert _Rate().render(Task(TaskID(0), "", 10, 0, _get_time=float)).plain == ""


def test_nothing_is_drawn_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, StringIO(), 1_000, unit="") == ""
    monkeypatch.setattr(sys, "stderr", stream := StringIO())
    with status() as tell:
        tell("30 wait")
    assert stream.getvalue() == ""


def test_a_line_tells_how_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    with status() as tell:
        tell("30 [wait]")
    assert "30 [wait]" in Text.from_ansi(stream.getvalue()).plain
