"""Instants and zones as people write them."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from tellfirst.errors import InputError, RowError


def read_instant(
    text: str, where: str, *, zone: tzinfo = UTC, error: type[InputError] | type[RowError] = InputError
) -> datetime:
    """Returns an ISO 8601 instant in UTC, one without a zone read in `zone`, a day being its first moment.

    Raises `error` naming `where`.
    """
    try:
        instant = datetime.fromisoformat(text)
        return (instant.replace(tzinfo=zone) if instant.tzinfo is None else instant).astimezone(UTC)
    except (ValueError, OverflowError):
        raise error(f"'{where}' is not an ISO 8601 instant like 2026-01-31T12:00:00Z") from None


def read_zone(text: str, where: str, *, error: type[InputError] | type[RowError] = InputError) -> ZoneInfo:
    """Returns an IANA zone; raises `error` naming `where`."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise error(f"'{where}' is not a time zone like Europe/Berlin") from None
