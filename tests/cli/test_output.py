"""Tables fit where they are read: aligned in a pipe, a line per cell on a terminal that is too narrow."""

import sys
from io import StringIO

import pytest
from rich.text import Text

from tellfirst.cli.output import print_table

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
