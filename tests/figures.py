"""What the tests measured and tried, told at the end of the run, whichever process it was measured in."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

Figure = Callable[[str], None]
Told = Callable[[str, Iterable[str], int], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Returns what keeps a measured figure: a line of text."""
    return lambda line: record_property("figure", line)


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Told:
    """Returns what records a class of attacks: its name, the code of each refusal, and how many messages left."""

    def tell(name: str, codes: Iterable[str], sent: int = 0) -> None:
        counted = Counter(codes)
        record_property("attacks", (name, dict(counted), sent))
        assert counted, f"{name}: nothing was tried"
        assert counted[""] == sent == 0, f"{name}: {counted['']} were accepted, {sent} messages left"

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the figures and the table of attacks."""
    kept = list(_kept(terminalreporter))
    if figures := sorted(str(value) for name, value in kept if name == "figure"):
        terminalreporter.write_sep("-", "figures")
        for line in figures:
            terminalreporter.write_line(line)
    attacks = [
        (name, Counter(codes), sent) for name, codes, sent in (value for kind, value in kept if kind == "attacks")
    ]
    if not attacks:
        return
    terminalreporter.write_sep("-", "attacks")
    width = max(len(name) for name, _, _ in attacks)
    for name, codes, sent in sorted(attacks, key=lambda attack: attack[0]):
        refused = ", ".join(f"{code} {count:,}" for code, count in codes.most_common())
        terminalreporter.write_line(f"{name:<{width}}  {codes.total():>7,} tried  {sent} sent  {refused}")
    tried, all_sent = sum(codes.total() for _, codes, _ in attacks), sum(sent for *_, sent in attacks)
    terminalreporter.write_line(f"{'all':<{width}}  {tried:>7,} tried  {all_sent} sent")


def _kept(terminalreporter: pytest.TerminalReporter) -> Iterator[tuple[str, Any]]:
    for status in ("passed", "failed"):
        for report in terminalreporter.getreports(status):
            if report.when == "call":
                yield from report.user_properties
