"""The attacks are counted: at the end a table says how many of each class were tried, and what they came to."""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

Told = Callable[[str, Iterable[str], int], None]
TABLE = pytest.StashKey[list[tuple[str, Counter[str], int]]]()


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Told:
    """Returns what records a class of attacks: its name, the code of each refusal, and how many messages left."""
    table = request.config.stash.setdefault(TABLE, [])

    def tell(name: str, codes: Iterable[str], sent: int = 0) -> None:
        counted = Counter(codes)
        table.append((name, counted, sent))
        assert counted, f"{name}: nothing was tried"
        assert counted[""] == sent == 0, f"{name}: {counted['']} were accepted, {sent} messages left"

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints the table."""
    table = config.stash.get(TABLE, [])
    if not table:
        return
    terminalreporter.write_sep("-", "attacks")
    width = max(len(name) for name, _, _ in table)
    for name, codes, sent in table:
        refused = ", ".join(f"{code} {count:,}" for code, count in codes.most_common())
        terminalreporter.write_line(f"{name:<{width}}  {codes.total():>7,} tried  {sent} sent  {refused}")
    tried = sum(codes.total() for _, codes, _ in table)
    terminalreporter.write_line(f"{'all':<{width}}  {tried:>7,} tried  {sum(sent for *_, sent in table)} sent")
