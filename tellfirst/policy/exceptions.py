"""May an exception be granted, and by whom: request, boundary and people in, verdict out."""

from collections.abc import Collection, Mapping
from typing import Literal

from tellfirst.domain.base import Frozen
from tellfirst.playbooks.boundaries import Boundary
from tellfirst.policy.approval import ApprovalRule


class Asked(Frozen):
    """Is what a customer asked for: a kind, an amount in minor units of a currency, and who puts the request."""

    kind: str
    amount_minor: int
    currency: str
    requester: str


class ExceptionVerdict(Frozen):
    """Says what granting takes: `one` person or `two` of `roles`, or `refused` for a reason, and whom to `ask` then.

    `code` is one stable word for machines; `people` are those of the registry who may sign.
    """

    kind: Literal["one", "two", "refused"]
    roles: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    code: str = ""
    reason: str = ""
    ask: str = ""

    @property
    def needed(self) -> int:
        """Returns how many distinct people must sign; 0 where nobody may."""
        return {"one": 1, "two": 2, "refused": 0}[self.kind]


def grant_rule(asked: Asked, boundary: Boundary) -> ApprovalRule | None:
    """Returns who may grant: one person whose role covers the amount alone, else two; None where no role covers it.

    The requester never counts, however they wrote their name: registered ones are in lower case.
    """
    alone = tuple(role for role, limit in boundary.roles.items() if limit.alone >= asked.amount_minor)
    second = tuple(role for role, limit in boundary.roles.items() if limit.with_second >= asked.amount_minor)
    if not second:
        return None
    return ApprovalRule(
        roles=alone or second,
        needed=1 if alone else 2,
        excluded=frozenset({asked.requester, asked.requester.strip().lower()}),
    )


def judge(
    asked: Asked, boundary: Boundary | None, people: Mapping[str, Collection[str]], *, accountable: str
) -> ExceptionVerdict:
    """Returns what granting this request takes; `people` maps each person who may decide at all to their roles.

    `accountable` is the person to ask about whatever lies outside every boundary.
    """
    if boundary is None:
        return _refused("no_boundary", f"the playbook has no exceptions of kind '{asked.kind}'", accountable)
    if asked.currency != boundary.currency:
        return _refused("wrong_currency", f"exceptions of this kind are granted in {boundary.currency}", accountable)
    if asked.amount_minor < 1:
        return _refused("no_amount", "an exception has an amount: what it costs", accountable)
    rule = grant_rule(asked, boundary)
    if rule is None:
        return _refused("outside_boundary", "the amount is more than anybody may grant, with a second too", accountable)
    able = tuple(
        name
        for name, roles in sorted(people.items())
        if name not in rule.excluded and not set(roles).isdisjoint(rule.roles)
    )
    if len(able) < rule.needed:
        what = "nobody" if not able else "only one person"
        return _refused("nobody_to_grant", f"{what} but the requester has a role that may grant it", accountable)
    return ExceptionVerdict(kind="one" if rule.needed == 1 else "two", roles=rule.roles, people=able)


def over_budget(whose: Literal["customer", "outreach"], accountable: str) -> ExceptionVerdict:
    """Returns the refusal of a request that the budget of its customer or outreach does not cover any more."""
    left = "the customer's budget for this year" if whose == "customer" else "the outreach's budget"
    return _refused(f"{whose}_budget", f"{left} does not cover the amount", accountable)


def _refused(code: str, reason: str, ask: str) -> ExceptionVerdict:
    return ExceptionVerdict(kind="refused", code=code, reason=reason, ask=ask)
