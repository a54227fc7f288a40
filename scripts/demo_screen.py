"""What the demo prints between the commands: chapters, sentences, command lines; coloured only on a terminal."""

import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import datetime

from tellfirst.cli.output import print_table

WIDTH = 100


class DemoError(Exception):
    """Says in one sentence why the demo cannot go on."""

    def __init__(self, sentence: str, *, exit_code: int = 1) -> None:
        self.exit_code = exit_code
        super().__init__(sentence)


class Screen:
    """Prints blocks with a free line before each, at once, so that what commands say falls into its place."""

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Opens the next chapter."""
        self._chapter += 1
        self.verbatim(self._styled(f"{self._chapter}. {title}", "1;36"))

    def say(self, text: str) -> None:
        """Prints a paragraph; names and paths stay whole, so that they can be copied."""
        width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
        self.verbatim(textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False))

    def command(self, words: Sequence[str]) -> None:
        """Prints a command as one would type it; what it says follows."""
        self.verbatim(self._styled(f"$ {shlex.join(words)}", "1"))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[str] = ()) -> None:
        """Prints aligned columns."""
        print(flush=True)
        print_table(columns, rows, numbers=numbers)

    def verbatim(self, text: str) -> None:
        """Prints lines as they are."""
        print(f"\n{text}", flush=True)

    def _styled(self, text: str, style: str) -> str:
        return f"\033[{style}m{text}\033[0m" if self._coloured else text


def clock(instant: datetime | None) -> str:
    """Returns the time of day of an instant."""
    return f"{instant:%H:%M:%S} UTC" if instant else "no time at all"
