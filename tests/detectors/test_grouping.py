"""Groups findings into conditions."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tellfirst.detectors.finding import Finding
from tellfirst.detectors.grouping import group, split_too_old, sweep_id
from tellfirst.domain.condition import FactValue, Key, personal_pattern
from tellfirst.errors import SourceError
from tellfirst.playbooks.schema import Playbook

AT = datetime(2018, 3, 15, tzinfo=UTC)
SWEEP = "2018-03-15T00-00"


def playbook(shape: str = "batch", group_by: tuple[str, ...] = (), shared: tuple[str, ...] = ()) -> Playbook:
    part = dict.fromkeys(("know", "doing", "now", "next", "human", "why"), "text")
    return Playbook.model_validate(
        {
            "id": "late_delivery",
            "title": "Late delivery",
            "industry": "retail",
            "reason_code": "where_is_my_order",
            "purpose": "service",
            "category": "operational",
            "urgency": "normal",
            "shape": shape,
            "channels": ["sms"],
            "purpose_of_use": "test",
            "owners": {"owner": "o", "proposers": ["p"], "approvers": ["a"], "accountable": "b", "team": "t"},
            "detector": {"kind": "sql", "sql": {"sqlite": "SELECT 1"}, "group_by": group_by, "max_age": timedelta(7)},
            "data": {
                name: {"type": "text", "class": "operational", "source": "condition", "description": "d"}
                for name in shared
            },
            "approval": dict.fromkeys(("remind_after", "escalate_after", "expires_after"), timedelta(hours=1)),
            "measure": {"window": timedelta(days=7), "holdout": 0.1},
            "steps": [{"id": "initial", "kind": "initial", "messages": {"sms": {"en": part}}}],
        }
    )


def finding(key: str, since: datetime = AT, **facts: FactValue) -> Finding:
    return Finding(subject_key=key, customer_ref=f"c-{key}", since=since, facts=facts)


def test_a_batch_without_columns_is_one_condition_named_by_its_sweep() -> None:
    [only] = group(playbook(), [finding("a"), finding("b")], at=AT, sweep=SWEEP)
    assert only.key == SWEEP
    assert only.detected_at == AT
    assert [member.subject_key for member in only.findings] == ["a", "b"]


def test_nothing_found_is_no_condition() -> None:
    assert group(playbook(), [], at=AT, sweep=SWEEP) == []


def test_a_batch_is_split_by_its_columns() -> None:
    found = [finding("a", carrier="DHL"), finding("b", carrier="UPS"), finding("c", carrier="dhl")]
    groups = group(playbook(group_by=("carrier",)), found, at=AT, sweep=SWEEP)
    assert [made.key for made in groups] == [f"carrier-dhl.{SWEEP}", f"carrier-ups.{SWEEP}"]
    assert [member.subject_key for member in groups[0].findings] == ["a", "c"]
    assert groups[1].facts == {"carrier": "UPS"}


def test_two_columns_stand_in_their_order() -> None:
    found = [finding("a", carrier="dhl", region=3)]
    assert group(playbook(group_by=("region", "carrier")), found, at=AT, sweep=SWEEP)[0].key == (
        f"region-3.carrier-dhl.{SWEEP}"
    )


def test_values_that_lose_letters_in_a_key_stay_apart() -> None:
    found = [
        finding("a", carrier="A/B"),
        finding("b", carrier="A B"),
        finding("c", carrier="a-b"),
        finding("d", carrier=None),
    ]
    keys = [made.key for made in group(playbook(group_by=("carrier",)), found, at=AT, sweep=SWEEP)]
    assert len(set(keys)) == 4
    assert f"carrier-_none.{SWEEP}" in keys


@given(st.lists(st.text(max_size=300), min_size=1, max_size=4))
def test_every_text_makes_a_key_of_the_contract(values: list[str]) -> None:
    columns = tuple(f"column_{'x' * 50}{n}" for n in range(len(values)))
    found = [finding("a", **dict(zip(columns, values, strict=True)))]
    if any(personal_pattern(value) for value in values):
        return
    [made] = group(playbook(group_by=columns), found, at=AT, sweep=SWEEP)
    TypeAdapter(Key).validate_python(made.key)
    assert personal_pattern(made.key) is None


@pytest.mark.parametrize("value", ["ann@example.org", "+49 151 23456789"])
def test_an_address_never_becomes_a_key(value: str) -> None:
    with pytest.raises(SourceError) as refused:
        group(playbook(group_by=("carrier",)), [finding("a", carrier=value)], at=AT, sweep=SWEEP)
    assert value not in str(refused.value)
    assert "'carrier' holds" in str(refused.value)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(SourceError, match="playbook late_delivery: the rule does not yield the column 'carrier'"):
        group(playbook(group_by=("carrier",)), [finding("a")], at=AT, sweep=SWEEP)


def test_an_incident_has_one_key_whatever_the_sweep() -> None:
    outage = playbook("incident", ("incident", "region"))
    found = [finding("a", incident="INC-42", region="n"), finding("b", incident="INC-42", region="s")]
    [first] = group(outage, found, at=AT, sweep=SWEEP)
    [later] = group(outage, found, at=AT + timedelta(hours=1), sweep="2018-03-15T01-00")
    assert first.key == later.key == "inc-42"
    assert first.facts == {"incident": "INC-42"}


def test_an_incident_needs_its_key() -> None:
    with pytest.raises(SourceError, match="the incident has no key"):
        group(playbook("incident"), [finding("a")], at=AT, sweep=SWEEP)
    for empty in (None, ""):
        with pytest.raises(SourceError, match="'incident' is empty"):
            group(playbook("incident", ("incident",)), [finding("a", incident=empty)], at=AT, sweep=SWEEP)


def test_facts_of_the_whole_condition_are_the_same_for_all() -> None:
    shared = playbook(shared=("cause",))
    [made] = group(shared, [finding("a", cause="snow"), finding("b", cause="snow")], at=AT, sweep=SWEEP)
    assert made.facts == {"cause": "snow"}
    with pytest.raises(SourceError, match="'cause' differs inside one condition"):
        group(shared, [finding("a", cause="snow"), finding("b", cause="strike")], at=AT, sweep=SWEEP)


def test_too_late_begins_after_the_greatest_age() -> None:
    age = timedelta(days=7)
    at_the_edge, behind_it = finding("a", AT - age), finding("b", AT - age - timedelta(seconds=1))
    assert split_too_old([at_the_edge, behind_it], AT, age) == ([at_the_edge], [behind_it])


def test_a_sweep_is_named_in_utc_and_two_in_one_minute_differ() -> None:
    assert sweep_id(AT) == SWEEP
    assert sweep_id(AT.astimezone(timezone(timedelta(hours=-5)))) == SWEEP
    assert sweep_id(AT + timedelta(seconds=5)) == "2018-03-15T00-00-05"
