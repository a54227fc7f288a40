"""The table of promises in docs/security.md: each has a test, and each test that it names is there."""

import ast
import re
from pathlib import Path

from tests.attacks.test_outside import PATHS, SPLIT
from tests.attacks.test_reach import DISGUISED, INSIDE_ADDRESSES
from tests.attacks.test_terminal import EVIL, WAYS
from tests.attacks.test_unseen import ADDRESSES, HIDDEN, PLACES
from tests.cli.test_report_files import FORMULAS

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


def test_no_figure_is_out_of_date() -> None:
    assert f"{len(DISGUISED)} disguises and {len(INSIDE_ADDRESSES)} addresses" in PAGE
    assert f"{len(FORMULAS)} formulas, {len(PATHS)} paths, {len(SPLIT)} broken headers" in PAGE
    assert f"{len(EVIL)} texts by {len(WAYS)} ways of printing" in PAGE
    assert f"{len(HIDDEN) + len(ADDRESSES)} texts in {len(PLACES)} places of a playbook" in PAGE


def test_what_is_not_promised_is_said() -> None:
    left_out = PAGE.partition("### What is not promised")[2].partition("\n## ")[0]
    for word in ("power cut", "host", "sign unread", "SIGSTOP"):
        assert word in left_out
