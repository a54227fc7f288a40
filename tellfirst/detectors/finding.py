"""A finding: one affected subject as an operational source shows it, and how a row becomes one."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from pydantic import AwareDatetime, Field

from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import Facts, FactValue, Ref, personal_pattern
from tellfirst.errors import SourceError

REQUIRED_COLUMNS = ("subject_key", "customer_ref", "since")

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Finding(Frozen):
    """Is one subject that a rule found; `since` is when the condition began for it (aware, UTC)."""

    subject_key: Ref
    customer_ref: Ref
    since: AwareDatetime
    facts: Facts = Field(default_factory=dict)


def check_columns(columns: tuple[str, ...]) -> None:
    """Raises SourceError when a rule's columns break the contract: the required ones, each with its own plain name."""
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if missing:
        raise SourceError(
            f"the rule does not yield the column '{missing[0]}'",
            remedy=f"a rule selects {', '.join(REQUIRED_COLUMNS)} and any facts",
        )
    # SQLite renames a second column `a` to `a:1`; PostgreSQL yields both as `a`.
    wrong = [name for name in columns if not _NAME.fullmatch(name) or columns.count(name) > 1]
    if wrong:
        raise SourceError(
            f"the rule yields the column '{wrong[0]}'",
            remedy="give each column its own name of a-z, 0-9 and _",
        )


def read_row(row: Mapping[str, object]) -> Finding:
    """Returns the finding of one row; raises SourceError naming the column, never the value."""
    return Finding(
        subject_key=_ref("subject_key", row["subject_key"]),
        customer_ref=_ref("customer_ref", row["customer_ref"]),
        since=_instant("since", row["since"]),
        facts={name: _fact(name, value) for name, value in row.items() if name not in REQUIRED_COLUMNS},
    )


def _ref(column: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | UUID):
        raise SourceError(
            f"the column '{column}' holds {_kind(value)}", remedy="it must be an opaque id: text, integer or UUID"
        )
    text = str(value)
    if not 1 <= len(text) <= 200:
        raise SourceError(f"the column '{column}' holds an id of {len(text)} characters", remedy="1 to 200 are allowed")
    # Ids travel through histories and logs in plain text.
    kind = personal_pattern(text)
    if kind:
        raise SourceError(f"the column '{column}' holds {kind}", remedy="select an opaque id instead")
    return text


def _instant(column: str, value: object) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise SourceError(
                f"the column '{column}' holds text that is not ISO 8601", remedy="cast it in the rule"
            ) from None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise SourceError(f"the column '{column}' holds {_kind(value)}", remedy="it must be a timestamp or ISO 8601 text")


def _fact(column: str, value: object) -> FactValue:
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime):
        return _instant(column, value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal) and value.is_finite():
        return format(value, "f")
    # A float has no exact text, and the digests that people sign are over the text.
    raise SourceError(
        f"the column '{column}' holds {_kind(value)}",
        remedy="a fact is text, integer, boolean, date, timestamp or decimal; cast it in the rule",
    )


def _kind(value: object) -> str:
    return "nothing (NULL)" if value is None else f"a value of type {type(value).__name__}"
