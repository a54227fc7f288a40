"""Budgets of exceptions: reserved, consumed, released; and never exceeded, however many claim at once."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy.exc import IntegrityError

from tellfirst.domain.base import Frozen
from tellfirst.store.chain import Chain
from tellfirst.store.engine import Database
from tellfirst.store.exceptions import (
    GRACE,
    Budgets,
    ExceptionRecord,
    Exceptions,
    NewException,
    Refusal,
    differences,
)
from tests.figures import Figure
from tests.store.make import DAY, NOON, OUTREACH, at_once, candidate, claim, customers, meeting, paged

CLAIMS = 50
ROOM = 17
AMOUNT = 300


class Limits(Frozen):
    per_customer: int = 10**9
    per_outreach: int = 10**9


def budgets(**limits: int) -> Budgets:
    return Budgets(
        **Limits(**limits).model_dump(),
        customer_spent=Refusal(code="customer_budget", reason="it is spent", ask="Head"),
        outreach_spent=Refusal(code="outreach_budget", reason="it is spent", ask="Head"),
    )


def new(id_: str = "r-1", customer: str = "c-1", amount: int = AMOUNT, **more: object) -> NewException:
    given: dict[str, object] = {
        "id": id_,
        "first_run": f"run-{id_}",
        "outreach_id": OUTREACH,
        "revision": 1,
        "customer_id": customer,
        "kind": "refund",
        "amount_minor": amount,
        "currency": "EUR",
        "requester": "zoe",
        "opened_at": NOON,
        "decide_by": NOON + DAY,
    }
    return NewException.model_validate({**given, **more})


@pytest.fixture
def exceptions(database: Database) -> Exceptions:
    return Exceptions(database)


def taken(exceptions: Exceptions, id_: str = "r-1") -> list[tuple[int, int]]:
    return [(s.reserved, s.consumed) for s in map(exceptions.spent, exceptions.budgets_of(id_))]


def test_a_request_reserves_and_a_grant_consumes(exceptions: Exceptions, database: Database) -> None:
    assert exceptions.claim(new(), budgets()).status == "pending"
    assert taken(exceptions) == [(AMOUNT, 0), (AMOUNT, 0)]
    assert exceptions.grant("r-1", at=NOON)
    assert taken(exceptions) == [(0, AMOUNT), (0, AMOUNT)]
    assert not exceptions.grant("r-1", at=NOON)
    assert not exceptions.release("r-1", "expired", at=NOON)
    assert exceptions.close("r-1", "executed", at=NOON)
    assert not exceptions.close("r-1", "stopped", at=NOON)
    assert taken(exceptions) == [(0, AMOUNT), (0, AMOUNT)]
    entries = Chain(database).entries()
    assert [(e.about, e.facts["status"]) for e in entries] == [
        ("exception/r-1", status) for status in ("pending", "granted", "executed")
    ]


@pytest.mark.parametrize("status", ["rejected", "expired", "withdrawn"])
def test_what_is_not_granted_is_released(exceptions: Exceptions, status: str) -> None:
    exceptions.claim(new(), budgets(per_customer=AMOUNT))
    assert exceptions.release("r-1", status, at=NOON)  # type: ignore[arg-type]
    assert taken(exceptions) == [(0, 0), (0, 0)]
    assert not exceptions.release("r-1", status, at=NOON)  # type: ignore[arg-type]
    assert not exceptions.grant("r-1", at=NOON)
    assert exceptions.claim(new("r-2"), budgets(per_customer=AMOUNT)).status == "pending"


def test_a_request_put_twice_reserves_once(exceptions: Exceptions) -> None:
    first = exceptions.claim(new(), budgets())
    again = exceptions.claim(new(first_run="another"), budgets())
    assert again == first
    assert taken(exceptions) == [(AMOUNT, 0), (AMOUNT, 0)]


def test_what_a_request_without_an_end_had_reserved_is_there_again_a_day_after_its_deadline(
    exceptions: Exceptions, database: Database
) -> None:
    """Its workflow was terminated, say: nobody can grant it any more, and nobody gives back what it holds."""
    limit = budgets(per_customer=2 * AMOUNT)
    exceptions.claim(new(), limit)
    exceptions.claim(new("r-2"), limit)
    exceptions.grant("r-2", at=NOON)
    assert exceptions.claim(new("r-3", opened_at=NOON + DAY + GRACE), limit).code == "customer_budget"
    late = NOON + DAY + GRACE + timedelta(seconds=1)
    assert exceptions.claim(new("r-4", opened_at=late), limit).status == "pending"
    assert [one.status for one in exceptions.all()] == ["expired", "granted", "refused", "pending"]
    assert taken(exceptions) == [(AMOUNT, AMOUNT), (AMOUNT, AMOUNT)]
    assert not exceptions.release("r-1", "withdrawn", at=late), "given back once"
    assert not exceptions.grant("r-1", at=late)


def test_only_the_request_itself_is_written_down_as_the_requesters(exceptions: Exceptions, database: Database) -> None:
    exceptions.claim(new(), budgets())
    exceptions.grant("r-1", at=NOON)
    exceptions.close("r-1", "executed", at=NOON)
    assert [entry.actor for entry in Chain(database).entries()] == ["zoe", "", ""]


def faults(database: Database) -> list[str]:
    with database.read() as session:
        return differences(session, Chain(database).entries())


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE exceptions SET amount_minor = 1 WHERE id = 'r-1'", "1 exception changed since the entry was written"),
        ("UPDATE exceptions SET status = 'executed' WHERE id = 'r-2'", "1 exception changed since the entry"),
        ("UPDATE exceptions SET requester = 'ben' WHERE id = 'r-2'", "1 exception changed since the entry"),
        ("DELETE FROM exceptions WHERE id = 'r-3'", "1 exception in the log but no longer in the database"),
        ("UPDATE exceptions SET id = 'r-9' WHERE id = 'r-3'", "1 exception in the database without an entry"),
        ("UPDATE exception_budgets SET consumed = 0", "2 budgets of exceptions are not what was taken out of them"),
        ("UPDATE exception_budgets SET reserved = reserved + 1", "2 budgets of exceptions"),
        ("DELETE FROM exception_budgets", "2 budgets of exceptions"),
    ],
)
def test_what_was_done_to_the_rows_is_found(
    exceptions: Exceptions, database: Database, statement: str, told: str
) -> None:
    for n in (1, 2, 3, 4):
        exceptions.claim(new(f"r-{n}"), budgets(per_customer=3 * AMOUNT))
    exceptions.grant("r-1", at=NOON)
    exceptions.release("r-3", "rejected", at=NOON)
    assert faults(database) == []
    with database.write() as session:
        session.connection().exec_driver_sql(statement)
    assert any(told in sentence for sentence in faults(database))


def test_one_budget_that_does_not_suffice_reserves_nothing(exceptions: Exceptions) -> None:
    refused = exceptions.claim(new(), budgets(per_outreach=AMOUNT - 1))
    assert (refused.status, refused.code, refused.ask) == ("refused", "outreach_budget", "Head")
    assert taken(exceptions) == [(0, 0), (0, 0)]
    refused = exceptions.claim(new("r-2"), budgets(per_customer=AMOUNT - 1))
    assert refused.code == "customer_budget"
    assert taken(exceptions, "r-2") == [(0, 0), (0, 0)]
    assert exceptions.claim(new("r-3"), budgets(per_customer=AMOUNT, per_outreach=AMOUNT)).status == "pending"


def test_a_customers_budget_spans_outreaches_of_one_year(exceptions: Exceptions) -> None:
    limit = budgets(per_customer=AMOUNT)
    assert exceptions.claim(new(), limit).status == "pending"
    assert exceptions.claim(new("r-2", outreach_id="outreach/other/k/1"), limit).code == "customer_budget"
    assert exceptions.claim(new("r-3", customer="c-2"), limit).status == "pending"
    assert exceptions.claim(new("r-4", opened_at=NOON + 366 * DAY), limit).status == "pending"
    assert exceptions.claim(new("r-5", kind="goodwill_credit"), limit).status == "pending"


@pytest.mark.parametrize("whose", ["per_customer", "per_outreach"])
def test_fifty_claims_at_once_never_exceed_a_budget(
    exceptions: Exceptions, database: Database, whose: str, figure: Figure
) -> None:
    limit = ROOM * AMOUNT + AMOUNT - 1
    names = [("c-1" if whose == "per_customer" else f"c-{n}") for n in range(CLAIMS)]
    jobs: list[Callable[[], ExceptionRecord]] = [
        partial(exceptions.claim, new(f"r-{n}", customer), budgets(**{whose: limit}))
        for n, customer in enumerate(names)
    ]
    records = at_once(jobs)
    pending = [record for record in records if record.status == "pending"]
    assert len(pending) == ROOM
    spent = exceptions.spent(exceptions.budgets_of("r-0")[0 if whose == "per_customer" else 1])
    figure(
        f"{database.engine.dialect.name}, {whose}: {CLAIMS} claims at once of {AMOUNT} on {limit}:"
        f" {len(pending)} reserved, {CLAIMS - len(pending)} refused, {spent.reserved} taken,"
        f" exceeded by {max(0, spent.reserved - limit)}"
    )
    assert spent.reserved == ROOM * AMOUNT <= limit


def test_grants_releases_and_claims_at_once_keep_one_account(
    exceptions: Exceptions, database: Database, figure: Figure
) -> None:
    """Fifty are decided, some both ways at once, while fifty more are claimed on the same budget."""
    limit = budgets(per_outreach=CLAIMS * AMOUNT)
    for n in range(CLAIMS):
        exceptions.claim(new(f"r-{n}", f"c-{n}"), limit)
    jobs: list[Callable[[], object]] = []
    for n in range(CLAIMS):
        jobs.append(partial(exceptions.claim, new(f"s-{n}", f"c-{n}"), limit))
        jobs.append(partial(exceptions.grant, f"r-{n}", at=NOON))
        if n % 2:
            jobs.append(partial(exceptions.release, f"r-{n}", "expired", at=NOON))
    at_once(jobs)
    spent, rows = exceptions.spent(exceptions.budgets_of("r-0")[1]), exceptions.all()
    count = Counter(row.status for row in rows)
    figure(
        f"{database.engine.dialect.name}: {CLAIMS} decided and {CLAIMS} claimed at once on room for {CLAIMS}:"
        f" {count['granted']} granted, {count['expired']} expired, {count['pending']} reserved,"
        f" {count['refused']} refused; {(spent.reserved + spent.consumed) // AMOUNT} taken,"
        f" exceeded by {max(0, spent.reserved + spent.consumed - CLAIMS * AMOUNT)}"
    )
    assert spent.reserved == count["pending"] * AMOUNT
    assert spent.consumed == count["granted"] * AMOUNT
    assert spent.reserved + spent.consumed <= CLAIMS * AMOUNT
    assert faults(database) == []


def test_a_forced_race_lets_one_in(exceptions: Exceptions, database: Database) -> None:
    """Everyone has inserted their request before anyone reserves."""
    exceptions.claim(new("r-0", amount=1), budgets())
    with meeting(database, "UPDATE exception_budgets", threads=4):
        jobs: list[Callable[[], ExceptionRecord]] = [
            partial(exceptions.claim, new(f"r-{n}"), budgets(per_customer=AMOUNT + 1)) for n in range(1, 5)
        ]
        records = at_once(jobs)
    assert sorted(record.status for record in records) == ["pending", "refused", "refused", "refused"]


def test_granting_and_expiring_at_once_counts_once(exceptions: Exceptions) -> None:
    for n in range(10):
        exceptions.claim(new(f"r-{n}"), budgets())
        jobs: list[Callable[[], bool]] = [
            partial(exceptions.grant, f"r-{n}", at=NOON),
            partial(exceptions.release, f"r-{n}", "expired", at=NOON),
        ]
        assert sorted(at_once(jobs)) == [False, True]
    granted = len(exceptions.all(status="granted"))
    assert taken(exceptions, "r-0")[1] == (0, granted * AMOUNT)


def test_a_budget_cannot_become_negative(exceptions: Exceptions, database: Database) -> None:
    exceptions.claim(new(), budgets())
    with pytest.raises(IntegrityError), database.write() as session:
        session.connection().exec_driver_sql("UPDATE exception_budgets SET reserved = -1")


def test_a_customer_is_found_where_an_outreach_affects_them(exceptions: Exceptions, database: Database) -> None:
    claim(database)
    customers(database, ["c-0", "c-1"])
    paged(database, [candidate("c-0"), candidate("c-1", verdict="opted_out")])
    told, untold = exceptions.customer_of(OUTREACH, "c-0"), exceptions.customer_of(OUTREACH, "c-1")
    assert told is not None
    assert (told.revision, told.channel) == (1, "sms")
    assert untold is None or untold.channel == ""
    assert exceptions.customer_of(OUTREACH, "c-9") is None


def test_they_are_listed_as_asked(exceptions: Exceptions) -> None:
    exceptions.claim(new(), budgets())
    refused = exceptions.refuse(new("r-2"), Refusal(code="no_boundary", reason="none", ask="Head"))
    assert (refused.status, refused.closed_at) == ("refused", NOON)
    assert [one.id for one in exceptions.all()] == ["r-1", "r-2"]
    assert [one.id for one in exceptions.all(status="refused")] == ["r-2"]
    assert exceptions.all(outreach="outreach/none/k/1") == []
    assert exceptions.get("r-2") == refused
    assert exceptions.get("r-3") is None
