"""The ledger: each subject once an episode, and episodes that follow the data."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from pydantic import Field
from sqlmodel import select

from tellfirst.domain.base import Frozen
from tellfirst.domain.condition import ADMITTED, Audience, Condition, Facts
from tellfirst.store.admissions import Admissions
from tellfirst.store.engine import Database
from tellfirst.store.outreaches import Outreaches
from tellfirst.store.tables import AdmissionRow
from tests.store.make import DAY, HOUR, NOON, at_once, meeting

TRIGGER = "late_delivery"
HOLD = HOUR


class Found(Frozen):
    subject_key: str
    customer_ref: str = "c"
    since: datetime = NOON
    facts: Facts = Field(default_factory=dict)


def found(*keys: str) -> list[Found]:
    return [Found(subject_key=key, customer_ref=key.replace("o-", "c-"), facts={"order_id": key}) for key in keys]


def admit(ledger: Admissions, at: datetime = NOON, **groups: Sequence[str]) -> None:
    by_key = {("" if key == "late" else key): found(*subjects) for key, subjects in groups.items()}
    ledger.admit(TRIGGER, by_key, at=at, facts={key: {"carrier": key} for key in by_key}, parameters={"hours": 24})


def observe(ledger: Admissions, at: datetime, *keys: str, hold: timedelta = HOLD) -> None:
    ledger.observe(TRIGGER, keys, at=at, hold_down=hold)


def waiting(ledger: Admissions) -> list[tuple[str, int, int]]:
    return [(condition.key, condition.episode, subjects) for condition, subjects in ledger.waiting(TRIGGER)]


def admitted(ledger: Admissions, key: str, episode: int | None = None) -> list[str]:
    return [s.key for chunk in ledger.admitted(TRIGGER, key, episode) for s in chunk]


def claim(database: Database, condition: Condition) -> bool:
    name = f"outreach/{condition.key}/{condition.episode}"
    return Outreaches(database).claim(name, condition, run="run-1", now=NOON)


@pytest.fixture
def ledger(database: Database) -> Admissions:
    return Admissions(database)


def test_subject_is_admitted_once(ledger: Admissions) -> None:
    assert ledger.new(TRIGGER, ["o-1", "o-2"]) == {"o-1", "o-2"}
    admit(ledger, a=["o-1", "o-2"])
    assert ledger.new(TRIGGER, ["o-1", "o-2", "o-3"]) == {"o-3"}
    admit(ledger, NOON + DAY, b=["o-2", "o-3"])
    assert admitted(ledger, "a") == ["o-1", "o-2"]
    assert admitted(ledger, "b") == ["o-3"]


def test_ledgers_of_two_triggers_are_apart(ledger: Admissions) -> None:
    admit(ledger, a=["o-1"])
    ledger.observe("payment_failed", [], at=NOON + DAY, hold_down=timedelta(0))
    assert ledger.new("payment_failed", ["o-1"]) == {"o-1"}
    assert ledger.new(TRIGGER, ["o-1"]) == set()
    assert ledger.waiting("payment_failed") == []


def test_condition_says_what_was_detected(ledger: Admissions) -> None:
    admit(ledger, dhl=["o-1", "o-2"])
    ((condition, subjects),) = ledger.waiting(TRIGGER)
    assert subjects == 2
    assert condition == Condition(
        trigger=TRIGGER,
        key="dhl",
        episode=1,
        detected_at=NOON,
        facts={"carrier": "dhl"},
        audience=Audience(query=ADMITTED),
    )
    assert ledger.parameters(TRIGGER, "dhl", 1) == {"hours": 24}
    assert ledger.parameters(TRIGGER, "dhl", 2) == {}
    (subject,) = [s for chunk in ledger.admitted(TRIGGER, "dhl") for s in chunk if s.key == "o-2"]
    assert (subject.customer, subject.facts) == ("c-2", {"order_id": "o-2"})


def test_condition_waits_until_it_is_claimed(database: Database, ledger: Admissions) -> None:
    admit(ledger, a=["o-1"], b=["o-2", "o-3"])
    assert waiting(ledger) == [("a", 1, 1), ("b", 1, 2)]
    assert claim(database, ledger.waiting(TRIGGER)[0][0])
    assert waiting(ledger) == [("b", 1, 2)]


def test_too_late_is_recorded_and_not_told(database: Database, ledger: Admissions) -> None:
    admit(ledger, late=["o-1"], a=["o-2"])
    with database.read() as session:
        kept = {row.subject_key: row.too_late for row in session.exec(select(AdmissionRow))}
    assert kept == {"o-1": True, "o-2": False}
    assert ledger.new(TRIGGER, ["o-1", "o-2"]) == set()
    assert waiting(ledger) == [("a", 1, 1)]


def test_open_condition_takes_more_subjects(database: Database, ledger: Admissions) -> None:
    admit(ledger, incident=["o-1"])
    claim(database, ledger.waiting(TRIGGER)[0][0])
    admit(ledger, NOON + HOUR, incident=["o-2"])
    assert admitted(ledger, "incident") == ["o-1", "o-2"]
    assert waiting(ledger) == []


def test_sweep_that_finds_nothing_new_opens_nothing(ledger: Admissions) -> None:
    admit(ledger, a=["o-1"])
    admit(ledger, NOON + HOUR, b=["o-1"])
    assert waiting(ledger) == [("a", 1, 1)]


# -- episodes


def test_episode_ends_after_the_hold_down(ledger: Admissions) -> None:
    admit(ledger, a=["o-1", "o-2"])
    observe(ledger, NOON + HOUR, "o-2")
    observe(ledger, NOON + HOUR + HOLD - timedelta(seconds=1), "o-2")
    assert ledger.new(TRIGGER, ["o-1", "o-2"]) == set()
    observe(ledger, NOON + HOUR + HOLD, "o-2")
    assert ledger.new(TRIGGER, ["o-1", "o-2"]) == {"o-1"}


def test_without_a_hold_down_an_episode_ends_at_once(ledger: Admissions) -> None:
    admit(ledger, a=["o-1"])
    observe(ledger, NOON + HOUR, hold=timedelta(0))
    assert ledger.new(TRIGGER, ["o-1"]) == {"o-1"}


def test_flapping_is_one_episode(ledger: Admissions) -> None:
    admit(ledger, a=["o-1"])
    for minutes in range(0, 600, 50):
        present = ["o-1"] if minutes % 100 else []
        observe(ledger, NOON + timedelta(minutes=minutes), *present)
        assert ledger.new(TRIGGER, ["o-1"]) == set()


def test_recurrence_is_a_new_episode(ledger: Admissions) -> None:
    admit(ledger, a=["o-1"])
    observe(ledger, NOON + HOUR, hold=timedelta(0))
    admit(ledger, NOON + DAY, b=["o-1"])
    assert ledger.new(TRIGGER, ["o-1"]) == set()
    assert admitted(ledger, "b") == ["o-1"]
    assert waiting(ledger) == [("a", 1, 1), ("b", 1, 1)]


def test_condition_that_recurs_is_its_next_episode(database: Database, ledger: Admissions) -> None:
    admit(ledger, incident=["o-1", "o-2"])
    claim(database, ledger.waiting(TRIGGER)[0][0])
    observe(ledger, NOON + HOUR, "o-2", hold=timedelta(0))
    admit(ledger, NOON + 2 * HOUR, incident=["o-3"])
    assert waiting(ledger) == [], "one of its subjects is still affected"
    observe(ledger, NOON + 3 * HOUR, hold=timedelta(0))
    admit(ledger, NOON + DAY, incident=["o-2", "o-4"])
    assert waiting(ledger) == [("incident", 2, 2)]
    assert admitted(ledger, "incident") == admitted(ledger, "incident", 2) == ["o-2", "o-4"]
    assert admitted(ledger, "incident", 1) == ["o-1", "o-2", "o-3"]
    assert ledger.waiting(TRIGGER)[0][0].detected_at == NOON + DAY


def test_condition_within_the_hold_down_is_the_same(database: Database, ledger: Admissions) -> None:
    admit(ledger, incident=["o-1"])
    claim(database, ledger.waiting(TRIGGER)[0][0])
    observe(ledger, NOON + HOUR)
    admit(ledger, NOON + HOUR, incident=["o-2"])
    assert waiting(ledger) == []
    assert admitted(ledger, "incident", 1) == ["o-1", "o-2"]


# -- at once


def test_two_sweeps_at_once_admit_once(database: Database, ledger: Admissions) -> None:
    with meeting(database, "INSERT INTO admissions"):
        at_once([lambda: admit(ledger, incident=["o-1", "o-2"]), lambda: admit(ledger, incident=["o-2", "o-1", "o-3"])])
    assert sorted(admitted(ledger, "incident")) == ["o-1", "o-2", "o-3"]
    assert waiting(ledger) == [("incident", 1, 3)]


def test_condition_of_the_slower_sweep_is_not_about_nobody(database: Database, ledger: Admissions) -> None:
    with meeting(database, "INSERT INTO admissions"):
        at_once([lambda key=key: admit(ledger, **{key: ["o-1", "o-2"]}) for key in ("a", "b")])  # type: ignore[misc]
    ((key, episode, subjects),) = waiting(ledger)
    assert (episode, subjects) == (1, 2)
    assert sorted(admitted(ledger, key)) == ["o-1", "o-2"]


def test_large_sweeps_at_once_never_wait_in_a_circle(database: Database, ledger: Admissions) -> None:
    keys = [f"o-{n:04d}" for n in range(3_000)]  # several statements each
    with meeting(database, "INSERT INTO admissions", when="after"):
        at_once([lambda: admit(ledger, a=keys), lambda: admit(ledger, b=keys[::-1])])
    assert len(admitted(ledger, "a")) + len(admitted(ledger, "b")) == 3_000
    assert len(waiting(ledger)) == 1


def test_admission_is_all_or_none(ledger: Admissions) -> None:
    naive = Found(subject_key="o-2", since=datetime(2026, 3, 1))  # noqa: DTZ001 - the point of the test
    with pytest.raises(Exception, match="naive"):
        ledger.admit(TRIGGER, {"a": found("o-1"), "b": [naive]}, at=NOON, facts={}, parameters={})
    assert ledger.new(TRIGGER, ["o-1"]) == {"o-1"}
    assert waiting(ledger) == []


def test_large_audience_comes_in_lists(ledger: Admissions) -> None:
    keys = [f"o-{n:04d}" for n in range(2_100)]
    admit(ledger, a=keys)
    lists = [len(chunk) for chunk in ledger.admitted(TRIGGER, "a")]
    assert lists == [2_000, 100]
    observe(ledger, NOON + HOUR, *keys[:1_500], hold=timedelta(0))
    assert ledger.new(TRIGGER, keys) == set(keys[1_500:])
