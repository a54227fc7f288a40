"""The report as rows, and as files for spreadsheets (CSV) and data tools (Parquet)."""

import csv
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from tellfirst.domain.outcome import ArmOutcome
from tellfirst.errors import RefusedError, SourceError
from tellfirst.measurement.intervals import Difference
from tellfirst.measurement.pools import Amount, Pool
from tellfirst.measurement.report import OutreachLine, ReasonReport
from tellfirst.measurement.series import Change, SeriesEvidence

Value = str | int | float | None

COLUMNS: Mapping[str, str] = {
    "level": "VARCHAR",
    "reason_code": "VARCHAR",
    "outreach": "VARCHAR",
    "trigger": "VARCHAR",
    "grade": "VARCHAR",
    "outreaches": "BIGINT",
    "treated_n": "BIGINT",
    "treated_contacted": "BIGINT",
    "treated_rate": "DOUBLE",
    "control_n": "BIGINT",
    "control_contacted": "BIGINT",
    "control_rate": "DOUBLE",
    "difference": "DOUBLE",
    "ci_low": "DOUBLE",
    "ci_high": "DOUBLE",
    "p": "DOUBLE",
    "adjusted_p": "DOUBLE",
    "relative": "DOUBLE",
    "relative_ci_low": "DOUBLE",
    "relative_ci_high": "DOUBLE",
    "avoided": "DOUBLE",
    "avoided_ci_low": "DOUBLE",
    "avoided_ci_high": "DOUBLE",
    "elsewhere": "DOUBLE",
    "elsewhere_ci_low": "DOUBLE",
    "elsewhere_ci_high": "DOUBLE",
    "anyhow": "DOUBLE",
    "anyhow_ci_low": "DOUBLE",
    "anyhow_ci_high": "DOUBLE",
    "srm_p": "DOUBLE",
    "recorded_at": "TIMESTAMPTZ",
    "sentence": "VARCHAR",
}
"""The columns in their order, with the types they have in Parquet."""

_BEGINS_FORMULA = frozenset("=+-@")
_BREAKS = frozenset("\t\r\n")
_QUOTES = frozenset("\"'`\u2018\u2019\u201c\u201d")


def rows(reasons: Sequence[ReasonReport], *, outreaches: bool) -> list[dict[str, Value]]:
    """Returns one row per reason code and grade, `level` reason, then with `outreaches` one per outreach.

    Weekly contacts, where nobody was held out, are a row of the level series with a relative change alone.
    """
    empty: dict[str, Value] = dict.fromkeys(COLUMNS)
    found = []
    for one in reasons:
        found += [empty | _pool(one, some, first=not place) for place, some in enumerate(one.pools)]
        if one.series and one.series.change:
            found.append(empty | _series(one.series, one.series.change))
        if not one.pools and one.outreaches:
            found.append(empty | _uncounted(one))
    if outreaches:
        found += [empty | _outreach(one, line) for one in reasons for line in one.outreaches]
    return found


def write_csv(file: Path, found: Sequence[Mapping[str, Value]]) -> None:
    """Writes rows as CSV in UTF-8: texts quoted and no formula to any spreadsheet, numbers as they are.

    Raises SourceError when the file cannot be written.
    """
    with writing(file) as out:
        # All texts in quotes: where spreadsheets part cells by semicolons, one in a text would begin another cell.
        writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for row in found:
            writer.writerow(plain(value) if isinstance(value := row[name], str) else value for name in COLUMNS)


def plain(text: str) -> str:
    """Returns a text as a spreadsheet shows it: with an apostrophe before what it would take for a formula.

    Also after quotes, white space and what is not seen, and in the wide letters that some of them read alike.
    """
    for letter in unicodedata.normalize("NFKC", text):
        if letter in _BEGINS_FORMULA or letter in _BREAKS:
            return f"'{text}"
        if not (letter in _QUOTES or letter.isspace() or unicodedata.category(letter) in ("Cc", "Cf")):
            break
    return text


def write_parquet(file: Path, found: Sequence[Mapping[str, Value]]) -> None:
    """Writes rows as Parquet; raises RefusedError where DuckDB, which does it, is not installed, and as `write_csv`."""
    try:
        import duckdb
    except ModuleNotFoundError:
        raise RefusedError(
            "Parquet is written by DuckDB, which is not installed",
            where="--parquet",
            remedy='install it by `pip install "tellfirst[parquet]"`, or take --csv',
        ) from None
    with writing(file):
        pass
    with TemporaryDirectory(prefix="tellfirst-") as folder, duckdb.connect(":memory:") as engine:
        lines = Path(folder, "rows.jsonl")
        lines.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
        types: dict[str, Any] = dict(COLUMNS)
        engine.read_json(str(lines), columns=types, format="newline_delimited").write_parquet(
            str(file), compression="zstd"
        )


@contextmanager
def writing(file: Path) -> Iterator[IO[str]]:
    """Yields an open text file; raises SourceError when it cannot be written."""
    try:
        with file.open("w", encoding="utf-8", newline="") as out:
            yield out
    except OSError as error:
        raise SourceError(
            f"it cannot be written ({error.strerror})", where=str(file), remedy="name a file in a folder that exists"
        ) from None


def _pool(one: ReasonReport, some: Pool, *, first: bool) -> dict[str, Value]:
    recorded = [line.recorded_at for line in one.outreaches if line.grade == some.grade]
    return {
        "level": "reason",
        "reason_code": one.reason_code,
        "grade": some.grade,
        "outreaches": some.outreaches,
        **_arms(some.arms),
        **_bounds(some.difference),
        "p": some.p,
        "adjusted_p": one.adjusted_p if first else None,
        **_amount("relative", some.relative),
        **_amount("avoided", some.avoided),
        **_named("elsewhere", some.elsewhere),
        **_named("anyhow", some.anyhow),
        "srm_p": some.ratio_p,
        "recorded_at": _instant(max(recorded)) if recorded else None,
        "sentence": " ".join(some.sentences[:2]),
    }


def _series(evidence: SeriesEvidence, change: Change) -> dict[str, Value]:
    return {
        "level": "series",
        "reason_code": evidence.reason_code,
        "grade": evidence.grade,
        "relative": change.change,
        "relative_ci_low": change.low,
        "relative_ci_high": change.high,
        "sentence": evidence.sentence,
    }


def _uncounted(one: ReasonReport) -> dict[str, Value]:
    return {
        "level": "reason",
        "reason_code": one.reason_code,
        "grade": one.grade,
        "outreaches": len(one.outreaches),
        "sentence": one.sentences[0],
    }


def _outreach(one: ReasonReport, line: OutreachLine) -> dict[str, Value]:
    return {
        "level": "outreach",
        "reason_code": one.reason_code,
        "outreach": line.outreach,
        "trigger": line.trigger,
        "grade": line.grade,
        "outreaches": 1,
        **_arms(line.arms),
        **_bounds(line.difference),
        "recorded_at": _instant(line.recorded_at),
        "sentence": line.sentence,
    }


def _arms(arms: Sequence[ArmOutcome]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for arm in arms:
        found |= {
            f"{arm.arm}_n": arm.clusters,
            f"{arm.arm}_contacted": None if arm.rate is None else arm.contacted,
            f"{arm.arm}_rate": arm.rate,
        }
    return found


def _bounds(found: Difference | None) -> dict[str, Value]:
    return {"difference": found.difference, "ci_low": found.low, "ci_high": found.high} if found else {}


def _named(name: str, found: Difference | None) -> dict[str, Value]:
    return {name: found.difference, f"{name}_ci_low": found.low, f"{name}_ci_high": found.high} if found else {}


def _amount(name: str, found: Amount | None) -> dict[str, Value]:
    return {name: found.value, f"{name}_ci_low": found.low, f"{name}_ci_high": found.high} if found else {}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
