"""What compares nothing is never called deflection: every sentence, document and page for the grades E and X."""

import ast
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tellfirst
from tellfirst.cli.report_document import document
from tellfirst.cli.report_rows import rows
from tellfirst.domain.figures import ArmFigures, OutcomeRecord
from tellfirst.measurement.outcome import judge_figures, phased
from tellfirst.measurement.report import report
from tellfirst.measurement.series import Weekly, series_for
from tellfirst.web.report.page import page

ROOT = Path(tellfirst.__file__).parents[1]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORD = "deflect"
MAY = Counter({"tellfirst/measurement/sentences.py": 1, "tellfirst/cli/reasons.py": 2})
"""Where code may print the word: beside grade A, and what the ranking of reasons assumes and says that it does."""


def words_of(path: Path) -> Iterator[str]:
    """Yields every text of a module that is no docstring."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def test_the_word_stands_only_where_it_is_guarded() -> None:
    found: Counter[str] = Counter()
    for package in ("tellfirst", "activities", "workflows", "workers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            found[str(path.relative_to(ROOT))] += sum(WORD in text.lower() for text in words_of(path))
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in (".toml", ".html", ".css", ".js", ".txt"):
                assert WORD not in path.read_text().lower(), path
    assert +found == MAY


def recorded(
    treated: tuple[int, int], control: tuple[int, int], share: float, *, arrived: bool, told: bool
) -> OutcomeRecord:
    """Returns an outcome of (clusters, contacted) per arm, `told` in phases or not."""
    figures = tuple(
        ArmFigures(arm=arm, share=share, clusters=n, contacted=min(x, n), anyhow=min(x, n))  # type: ignore[arg-type]
        for arm, (n, x) in (("treated", treated), ("control", control))
    )
    judged = judge_figures(figures, window_closed=True, watermark_passed=arrived, reason_code="late")
    judged = phased(judged) if told else judged
    return OutcomeRecord(
        **judged.model_dump(exclude={"arms"}),
        outreach="outreach/late/k/1",
        trigger="late",
        version=1,
        recorded_at=NOON,
        first_t0=NOON,
        last_t0=NOON,
        counted=arrived,
        figures=figures,
    )


ARM = st.tuples(st.integers(0, 3_000), st.integers(0, 400))


@given(
    treated=ARM,
    control=st.one_of(ARM, st.just((0, 0))),
    share=st.sampled_from((0.0, 0.05, 0.5)),
    arrived=st.booleans(),
    told=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_nothing_that_is_shown_of_the_grades_e_and_x_claims_it(
    treated: tuple[int, int], control: tuple[int, int], share: float, arrived: bool, told: bool
) -> None:
    one = recorded(treated, control, share, arrived=arrived, told=told)
    found = report([one])
    assert all(reason.grade in ("A", "B", "E", "X") for reason in found)
    if any(reason.grade == "A" for reason in found):
        return
    shown = (
        one.sentence,
        json.dumps(document(found).model_dump(mode="json")),
        page(found, at=NOON, scope="All outcomes."),
        str(rows(found, outreaches=True)),
    )
    assert all(WORD not in text.lower() for text in shown)


@pytest.mark.parametrize("weeks", [0, 6, 16])
@pytest.mark.parametrize("size", [2, 60])
@pytest.mark.parametrize("others", [None, 3, 90])
def test_no_series_claims_it(weeks: int, size: int, others: int | None) -> None:
    weekly = Weekly(first=date(2026, 1, 5), counts=tuple(size + week % 3 for week in range(weeks)))
    beside = (
        Weekly(first=date(2026, 1, 5), counts=tuple(others + week % 2 for week in range(weeks))) if others else None
    )
    found = series_for("late", weekly, begun=datetime(2026, 1, 7, tzinfo=UTC) + timedelta(weeks=9), others=beside)
    assert found.grade in ("C", "D", "E")
    none = recorded((900, 90), (0, 0), 0.0, arrived=True, told=False)
    reports = report([none], series=[found])
    shown = (
        found.sentence,
        json.dumps(document(reports).model_dump(mode="json")),
        page(reports, at=NOON, scope="All outcomes."),
        str(rows(reports, outreaches=True)),
    )
    assert all(WORD not in text.lower() for text in shown)
