"""The report as one file: a page without scripts or anything to load, to read, print and pass on."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from liquid import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tellfirst.domain.outcome import ArmOutcome
from tellfirst.measurement.intervals import Difference
from tellfirst.measurement.pools import Amount, Pool
from tellfirst.measurement.report import ORDER, ForestRow, OutreachLine, ReasonReport, forest
from tellfirst.measurement.sentences import MEANING
from tellfirst.web.report.forest import plot, points

FOLDER = Path(__file__).parent
SEVERAL = 2
"""An outreach and what it comes to are one line twice: no picture of its own."""
Fact = tuple[str, str]


def page(reasons: Sequence[ReasonReport], *, at: datetime, scope: str) -> str:
    """Returns the report as HTML; `scope` says in a sentence which outcomes it is about."""
    utc = at.astimezone(UTC)
    return (
        _templates()
        .get_template("report.html")
        .render(
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
    )


@cache
def _templates() -> Environment:
    return Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, autoescape=True)


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
                    _points(some.difference) + mark,
                    _between(some.difference),
                    _amount(some.avoided),
                )
            )
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
        "pools": [
            {
                "grade": some.grade,
                "meaning": MEANING[some.grade],
                "first": " ".join(some.sentences[:2] if some.difference else some.sentences[:1]),
                "more": list(some.sentences[2:]) if some.difference else [],
                "facts": list(_facts(some)),
            }
            for some in one.pools
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
                _points(line.difference),
                _between(line.difference),
                f"{line.recorded_at.astimezone(UTC):%-d %b %Y}",
            )
            for line in lines
        ],
    }


def _facts(some: Pool) -> Iterator[Fact]:
    if some.difference is None:
        return
    yield "Difference, percentage points", f"{_points(some.difference)} ({_between(some.difference)})"
    if some.relative is not None:
        yield "Relative change", _percent(some.relative)
    if some.avoided is not None:
        yield "Accounts spared a contact", _amount(some.avoided)
    if some.net_avoided is not None:
        yield "Contacts avoided about anything", _amount(some.net_avoided)
    for name, mean in (
        ("Contacts per account", some.contacts),
        ("Contacts per account, any reason", some.all_contacts),
    ):
        if mean is not None:
            yield name, f"{mean.difference:+.3f} ({mean.low:+.3f} to {mean.high:+.3f})".replace("-", "\u2212")
    for name, found in (
        ("Contacted about other reasons", some.elsewhere),
        ("Contacted about anything", some.anyhow),
        ("Contacted twice or more", some.repeated),
        ("Opted out", some.opted_out),
    ):
        if found is not None:
            yield name, f"{_points(found)} ({_between(found)})"
    if some.p is not None:
        yield "Probability if nothing changed", f"{some.p:.2g}"
    yield "Probability of such a split", f"{some.ratio_p:.2g}"


def _arm(arm: ArmOutcome) -> str:
    if arm.rate is None:
        return f"{arm.clusters:,} accounts"
    return f"{arm.contacted:,} of {arm.clusters:,} ({arm.rate:.1%})"


def _points(found: Difference | None) -> str:
    return "–" if found is None else points(found.difference)


def _between(found: Difference | None) -> str:
    return "–" if found is None else f"{points(found.low)} to {points(found.high)}"


def _amount(found: Amount | None) -> str:
    if found is None:
        return "–"
    return f"{found.value:,.0f} ({found.low or 0:,.0f} to {found.high or 0:,.0f})".replace("-", "\u2212")


def _percent(found: Amount) -> str:
    high = "no bound" if found.high is None else f"{found.high:+.0%}"
    return f"{found.value:+.0%} ({found.low or 0:+.0%} to {high})".replace("-", "\u2212")
