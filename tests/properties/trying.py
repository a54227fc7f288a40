"""How the properties are tried: always the same examples, and other ones, more of them, where that is asked for."""

import os
from typing import Any

from hypothesis import HealthCheck, settings


def examples(default: int, **more: Any) -> settings:
    """Returns settings for so many examples, or for as many as TELLFIRST_EXAMPLES says, drawn anew each time."""
    asked = os.environ.get("TELLFIRST_EXAMPLES")
    return settings(
        max_examples=int(asked or default),
        derandomize=not asked,
        deadline=None,
        print_blob=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        **more,
    )
