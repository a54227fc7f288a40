"""The report as a page: what it shows, where its lines stand, and what it never says."""

from datetime import UTC, datetime

import pytest

from tellfirst.cli.report_rows import rows
from tellfirst.domain.beside import BesideCounts, ChannelCount
from tellfirst.domain.outcome import Grade
from tellfirst.domain.survey import SurveyFigures
from tellfirst.measurement.costs import CostRates
from tellfirst.measurement.report import ForestRow, report
from tellfirst.measurement.series import Change, SeriesEvidence
from tellfirst.web.report.forest import MOST, plot
from tellfirst.web.report.page import page
from tests.measurement.recorded import REFERENCE, outcome

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def row(
    low: float, value: float, high: float, *, grade: Grade = "A", clusters: int = 100, pooled: bool = False
) -> ForestRow:
    """Returns one comparison."""
    kind = "pooled" if pooled else "outreach"
    return ForestRow.model_validate(
        {
            "label": "r",
            "kind": kind,
            "grade": grade,
            "difference": value,
            "low": low,
            "high": high,
            "clusters": clusters,
        }
    )


def test_lines_stand_where_the_axis_says() -> None:
    made = plot([row(-0.06, -0.05, -0.04), row(-0.02, 0.01, 0.04, clusters=400)])
    assert made is not None
    at = {tick.label: tick.at for tick in made.ticks}
    assert at["0"] == made.zero
    step = at["\u22122"] - at["\u22124"]
    first, second = made.lines
    assert first.low == pytest.approx(at["\u22126"])
    assert first.at == pytest.approx(at["\u22126"] + step / 2, abs=0.02)
    assert second.high == pytest.approx(at["+4"])
    assert first.size < second.size
    assert all(0 <= place <= 100 for line in made.lines for place in (line.low, line.high))
    assert not any(line.off_low or line.off_high for line in made.lines)
    assert plot([]) is None


def test_what_is_unsure_does_not_squeeze_what_is_sure() -> None:
    made = plot([row(-0.06, -0.05, -0.04), row(-0.9, -0.5, 0.6, grade="B")])
    assert made is not None
    sure, unsure = made.lines
    assert sure.high - sure.low > 10
    assert (unsure.off_low, unsure.off_high, unsure.at) == (True, True, None)


def test_a_crowd_is_drawn_by_its_largest_and_the_table_keeps_all() -> None:
    rows = [row(-0.06, -0.05, -0.04, clusters=number) for number in range(100)]
    made = plot([*rows, row(-0.05, -0.05, -0.05, pooled=True)])
    assert made is not None
    assert (len(made.lines), made.left_out) == (MOST, 101 - MOST)
    assert made.lines[-1].pooled
    recorded = [outcome("r", (900, 60), (100, 15), key=f"{key}") for key in range(60)]
    text = page(report(recorded), at=NOON, scope="All outcomes.")
    assert "The 21 smallest are not drawn." in text
    assert all(f"outreach/r/{key}/1" in text for key in range(60))


def test_a_page_without_a_comparison_never_speaks_of_deflection() -> None:
    recorded = [outcome("x", (900, 90), (100, 20), share=0.5), outcome("e", (500, 50), (0, 0), share=0.0)]
    recorded += [outcome("n", (500, 0), (50, 0), arrived=False), outcome("b", (20, 2), (3, 1))]
    made = report(recorded)
    assert [one.reason_code for one in made if one.found] == ["b"]
    text = page(made, at=NOON, scope="All outcomes.")
    assert "deflection" not in text
    assert "withheld until the cause is found" in text
    assert "How many would have without it is not known." in text
    assert "deflection" in page(report(REFERENCE), at=NOON, scope="All outcomes.")


def test_weekly_contacts_have_a_row_and_a_sentence_of_their_own() -> None:
    weekly = SeriesEvidence(
        reason_code="e", grade="D", change=Change(change=-0.2, low=-0.3, high=-0.1), weeks_before=9, weeks_after=5,
        sentence="Contacts about e changed.",
    )  # fmt: skip
    made = report([outcome("e", (500, 50), (0, 0), share=0.0)], series=[weekly])
    text = page(made, at=NOON, scope="All outcomes.")
    assert "\u221220% a week" in text
    assert "Grade D: nobody held out; compared with the time before" in text
    assert "deflection" not in text
    [series] = [one for one in rows(made, outreaches=False) if one["level"] == "series"]
    assert (series["grade"], series["relative"], series["difference"]) == ("D", -0.2, None)


def test_what_is_recorded_is_text_and_never_markup() -> None:
    text = page(report([outcome("<img src=x>&", (900, 60), (100, 15))]), at=NOON, scope="<b>")
    assert "<img" not in text
    assert "<b>" not in text
    assert "&lt;img src=x&gt;&amp;" in text


def test_nothing_recorded_is_said() -> None:
    assert "No outcome is recorded yet" in page(report([]), at=NOON, scope="All outcomes.")


def test_what_stands_beside_a_reason_is_shown() -> None:
    one = outcome("r", (900, 60), (100, 15))
    counts = BesideCounts(
        outreach=one.outreach,
        channels=(ChannelCount(channel="email", sent=900, opened=90, machine=300, clicked=9),),
        tones={"thanks": 30, "angry": 10},
        message_micros=9_000_000,
        currency="EUR",
    )
    asked = SurveyFigures(
        outreach=one.outreach, trigger="r", reason_code="r", kind="csat", arm="treated", share=0.1,
        drawn=900, asked=800, answered=80, closed_at=NOON,
    )  # fmt: skip
    made = report([one], counts=[counts], rates=CostRates(currency="EUR", agent_hour=3_000), surveys=[asked])
    text = page(made, at=NOON, scope="All outcomes.")
    assert "Read, email (never a result)" in text
    assert "10.0% of 900 opened" in text
    assert "thanks 75.0% of 40" in text
    assert "80 of 800 asked answered" in text
