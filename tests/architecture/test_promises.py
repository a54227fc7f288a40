"""The table of promises in docs/security.md: each has a test, and each test that it names is there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text()
TABLE = [line for line in PAGE.partition("| promise | shown by |")[2].partition("\n\n")[0].splitlines() if "::" in line]
NAMED = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def functions(path: Path) -> set[str]:
    """Returns the names of the tests in a file."""
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_promise_has_a_row_and_every_row_a_test() -> None:
    numbered = [found.group() for line in TABLE if (found := re.search(r"P\d", line))]
    assert numbered == [f"P{number}" for number in range(1, 10)]
    assert len(TABLE) >= 20
    assert all(NAMED.search(line.split(" | ")[1]) for line in TABLE)


def test_every_test_that_is_named_is_there() -> None:
    named = NAMED.findall(PAGE)
    assert [(path, name) for path, name in named if not (TESTS / path).is_file()] == []
    assert [(path, name) for path, name in named if name not in functions(TESTS / path)] == []


def test_what_is_not_promised_is_said() -> None:
    left_out = PAGE.partition("### What is not promised")[2].partition("\n## ")[0]
    for word in ("power cut", "host", "sign unread", "SIGSTOP"):
        assert word in left_out
