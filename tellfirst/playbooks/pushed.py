"""Push messages: a title and one short text, all that a device shows of them."""

from tellfirst.domain.message import Rendered

LONGEST_TITLE = 65
LONGEST_BODY = 500
"""Characters; both together are far from the 4,096 bytes that the providers take, in any script."""


def too_long(rendered: Rendered) -> tuple[str, str] | None:
    """Returns which part of a push message is too long and by how much, or None."""
    for part, text, limit in (("subject", rendered.subject, LONGEST_TITLE), ("body", rendered.body, LONGEST_BODY)):
        if len(text) > limit:
            return part, f"takes {len(text)} characters and a push message {limit}"
    return None
