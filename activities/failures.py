"""How trouble inside an activity is told to Temporal: what may be retried, when, and never with personal data."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, FailureError

from tellfirst.errors import SourceError, TellfirstError
from tellfirst.store.engine import DatabaseError

T = TypeVar("T")


def on_record(found: T | None) -> T:
    """Returns what a workflow knows to be in the database; where it is not, no later attempt finds it either."""
    if found is None:
        raise ApplicationError(
            "the database does not know this outreach: it is not the one that it was planned in, or an older copy",
            type="not_on_record",
            non_retryable=True,
        )
    return found


def later(type_: str, message: str, after: timedelta) -> ApplicationError:
    """Returns the failure of an attempt that is expected to succeed `after` a while; it raises no alarm."""
    return ApplicationError(message, type=type_, next_retry_delay=after, category=ApplicationErrorCategory.BENIGN)


@contextmanager
def told_plainly() -> Iterator[None]:
    """Replaces errors whose text may hold a row's values, for the server keeps failure messages for ever."""
    try:
        yield
    except DatabaseError as error:
        kind = type(error.orig).__name__ if error.orig is not None else type(error).__name__
        raise ApplicationError(f"the database refused a statement ({kind})", type="Database") from None
    except SourceError as error:
        raise ApplicationError(str(error), type="Source") from None
    except TellfirstError as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from None
    except FailureError:
        raise
    except Exception as error:
        # What a library says of its trouble may name whom it was about; where it happened tells enough to look.
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}, line {at.lineno}"
        raise ApplicationError(f"{type(error).__name__} in {where}", type=type(error).__name__) from None
