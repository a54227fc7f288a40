"""Who may grant an exception: inside one person, above two, outside nobody, and never the requester."""

from hypothesis import given
from hypothesis import strategies as st

from tellfirst.playbooks.boundaries import Boundary
from tellfirst.policy.exceptions import Asked, ExceptionVerdict, grant_rule, judge, over_budget

BOUNDARY = Boundary.model_validate(
    {
        "currency": "EUR",
        "per_customer": 100_00,
        "per_outreach": 1000_00,
        "roles": {"Agent": {"alone": 10_00, "with_second": 40_00}, "Lead": {"alone": 30_00, "with_second": 80_00}},
        "answers": {},
    }
)
PEOPLE = {"ana": ["Agent"], "ben": ["Agent"], "cem": ["Lead"], "dee": ["Lead", "Agent"], "eli": ["Cook"]}


def asked(amount: int, requester: str = "zoe", **more: str) -> Asked:
    return Asked(**{"kind": "refund", "currency": "EUR", **more}, amount_minor=amount, requester=requester)  # type: ignore[arg-type]


def verdict(amount: int, requester: str = "zoe", **more: str) -> ExceptionVerdict:
    return judge(asked(amount, requester, **more), BOUNDARY, PEOPLE, accountable="Head of service")


def test_inside_a_boundary_one_person_grants() -> None:
    found = verdict(10_00)
    assert (found.kind, found.roles, found.people) == ("one", ("Agent", "Lead"), ("ana", "ben", "cem", "dee"))
    assert verdict(10_01).roles == ("Lead",)


def test_above_it_a_second_person_is_needed() -> None:
    found = verdict(30_01)
    assert (found.kind, found.needed, found.people) == ("two", 2, ("ana", "ben", "cem", "dee"))
    assert verdict(40_01).people == ("cem", "dee")


def test_outside_it_is_refused_and_says_whom_to_ask() -> None:
    found = verdict(80_01)
    assert (found.kind, found.code, found.ask) == ("refused", "outside_boundary", "Head of service")
    assert found.reason
    assert found.needed == 0


def test_the_requester_never_grants_their_own() -> None:
    assert "ana" not in verdict(5_00, "ana").people
    assert verdict(80_00, "cem").code == "nobody_to_grant", "two leads are needed and one of them asks"
    for written in ("ana", "Ana", " ANA "):
        rule = grant_rule(asked(5_00, written), BOUNDARY)
        assert rule is not None
        assert "ana" in rule.excluded
        assert "ana" not in verdict(5_00, written).people


def test_what_no_boundary_covers_is_refused() -> None:
    assert judge(asked(1), None, PEOPLE, accountable="h").code == "no_boundary"
    assert verdict(1, currency="USD").code == "wrong_currency"
    assert verdict(0).code == "no_amount"
    assert over_budget("customer", "h").code == "customer_budget"
    assert "outreach" in over_budget("outreach", "h").reason


@given(st.integers(0, 100_00), st.sampled_from([*PEOPLE, "zoe"]))
def test_no_verdict_lets_more_through_than_the_roles_carry(amount: int, requester: str) -> None:
    found = verdict(amount, requester)
    limits = BOUNDARY.roles
    if found.kind == "one":
        assert all(limits[role].alone >= amount for role in found.roles)
    if found.kind == "two":
        assert all(limits[role].with_second >= amount for role in found.roles)
        assert not any(limit.alone >= amount for limit in limits.values())
    assert requester not in found.people
    assert "eli" not in found.people
    assert len(found.people) >= found.needed
