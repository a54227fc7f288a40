"""Who has to say yes: roles, how many distinct people, and who never counts."""

from collections.abc import Sequence
from itertools import permutations

from pydantic import Field

from tellfirst.domain.base import Frozen


class ApprovalRule(Frozen):
    """Says what an approval takes: `needed` distinct people with one of `roles`, none of them `excluded`.

    Where `each` names roles, there is one person for each of them: nobody counts for two.
    """

    roles: tuple[str, ...]
    needed: int = Field(default=1, ge=1, le=3)
    excluded: frozenset[str] = frozenset()
    each: tuple[str, ...] = ()

    def covers(self, people: Sequence[Sequence[str]]) -> bool:
        """Returns whether `people`, each given by their roles, can stand for roles of `each` that are all different."""
        return not self.each or any(
            all(role in roles for role, roles in zip(chosen, people, strict=True))
            for chosen in permutations(self.each, len(people))
        )
