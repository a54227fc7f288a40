"""The report as one file: a page without scripts or anything to load, to read, print and pass on."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from liquid import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tellfirst.domain.outcome import ArmOutcome
from tellfirst.measurement.report import ORDER, ForestRow, OutreachLine, ReasonReport, forest
from tellfirst.measurement.sentences import MEANING
from tellfirst.web.report.facts import amount, between, change, facts, percent, stood_beside
from tellfirst.web.report.forest import plot

FOLDER = Path(__file__).parent
SEVERAL = 2
"""An outreach and what it comes to are one line twice: no picture of its own."""


def page(reasons: Sequence[ReasonReport], *, at: datetime, scope: str) -> str:
    """Returns the report as HTML; `scope` says in a sentence which outcomes it is about."""
    utc = at.astimezone(UTC)
    templates = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, autoescape=True)
    return templates.get_template("report.html").render(
        style=Markup((FOLDER / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - a file of ours
        scope=scope,
        at=utc.isoformat(timespec="seconds"),
        as_of=f"{utc:%-d %B %Y, %H:%M} UTC",
        plot=_drawn(forest(reasons)),
        table=_reasons(reasons),
        marked=len(reasons) > 1 and any(one.marked for one in reasons),
        reasons=[_reason(number, one) for number, one in enumerate(reasons, start=1)],
        grades=[(grade, MEANING[grade]) for grade in ORDER],
    )


def _drawn(rows: Sequence[ForestRow]) -> dict[str, object] | None:
    found = plot(rows)
    return found.model_dump() if found else None


def _reasons(reasons: Iterable[ReasonReport]) -> dict[str, object]:
    rows = []
    for one in reasons:
        for place, some in enumerate(one.pools):
            mark = " *" if not place and one.marked else ""
            rows.append(
                (
                    one.reason_code,
                    some.grade,
                    f"{some.outreaches:,}",
                    _arm(some.treated),
                    _arm(some.control),
                    change(some.difference) + mark,
                    between(some.difference),
                    amount(some.avoided),
                )
            )
        if one.series and (found := one.series.change):
            figures = (f"{percent(found.change)} a week", f"{percent(found.low)} to {percent(found.high)}")
            rows.append((one.reason_code, one.series.grade, *("–",) * 3, *figures, "–"))
        if not one.pools:
            rows.append((one.reason_code, one.grade, f"{len(one.outreaches):,}", *("–",) * 5))
    columns = (
        "Reason",
        "Grade",
        "Outreaches",
        "Told first",
        "Held out",
        "Difference",
        "95 % interval",
        "Spared a contact",
    )
    return {
        "caption": "Accounts that contacted about the reason; differences in percentage points.",
        "columns": columns,
        "rows": rows,
    }


def _reason(number: int, one: ReasonReport) -> dict[str, object]:
    return {
        "id": f"reason-{number}-plot",
        "name": one.reason_code,
        "series": (one.series.grade, MEANING[one.series.grade], one.series.sentence) if one.series else None,
        "pools": [
            {
                "grade": some.grade,
                "meaning": MEANING[some.grade],
                "first": " ".join(some.sentences[:2] if some.difference else some.sentences[:1]),
                "more": list(some.sentences[2:]) if some.difference else [],
                "facts": list(facts(some)),
            }
            for some in one.pools
        ],
        "beside": list(stood_beside(one.beside)) if one.beside else [],
        "told": [
            *(one.beside.sentences if one.beside else ()),
            *(sentence for survey in one.surveys for sentence in survey.sentences),
        ],
        "early": [(reading.outreach, reading.sentence) for reading in one.early],
        "plot": _drawn(one.forest) if len(one.forest) > SEVERAL else None,
        "plot_title": f"Forest plot of the outreaches about {one.reason_code}",
        "table": _outreaches(one.outreaches) if one.outreaches else None,
    }


def _outreaches(lines: Sequence[OutreachLine]) -> dict[str, object]:
    return {
        "caption": "Each outreach as it was recorded.",
        "columns": ("Outreach", "Grade", "Told first", "Held out", "Difference", "95 % interval", "Recorded"),
        "rows": [
            (
                line.outreach,
                line.grade,
                *(_arm(arm) for arm in line.arms),
                change(line.difference),
                between(line.difference),
                f"{line.recorded_at.astimezone(UTC):%-d %b %Y}",
            )
            for line in lines
        ],
    }


def _arm(arm: ArmOutcome) -> str:
    if arm.rate is None:
        return f"{arm.clusters:,} accounts"
    return f"{arm.contacted:,} of {arm.clusters:,} ({arm.rate:.1%})"
