"""Who has to say yes: roles, how many distinct people, and who never counts."""

from pydantic import Field

from tellfirst.domain.base import Frozen


class ApprovalRule(Frozen):
    """Says what an approval takes: `needed` distinct people with one of `roles`, none of them `excluded`."""

    roles: tuple[str, ...]
    needed: int = Field(default=1, ge=1, le=3)
    excluded: frozenset[str] = frozenset()
