"""The frozen audience: one row speaks for a customer, pages keep their order."""

from itertools import pairwise

import pytest

from tellfirst.domain.recipient import ELIGIBLE, Candidate
from tellfirst.store.engine import Database
from tellfirst.store.recipients import DISCARDED, TOLD_ONCE, Recipients
from tests.store.make import DAY, NOON, OUTREACH, by, candidate, paged


def added(database: Database, *candidates: Candidate) -> Recipients:
    recipients = Recipients(database)
    recipients.add(OUTREACH, 1, candidates, first=0)
    recipients.fold_customers(OUTREACH, 1)
    return recipients


def test_first_subject_speaks_for_the_others(database: Database) -> None:
    recipients = added(
        database, candidate("c-2", "o-1"), candidate("c-1", "o-2"), candidate("c-1", "o-3"), candidate("c-1", "o-4")
    )
    rows = recipients.unpaged(OUTREACH, 1, "sms", 10)
    assert [(r.customer, r.subject_key, r.others) for r in rows] == [("c-2", "o-1", 0), ("c-1", "o-2", 2)]
    assert recipients.verdicts(OUTREACH, 1) == {ELIGIBLE: 2, TOLD_ONCE: 2}


def test_ineligible_subject_neither_speaks_nor_counts(database: Database) -> None:
    recipients = added(
        database,
        candidate("c-1", "o-1", verdict="facts_missing_or_wrong"),
        candidate("c-1", "o-2"),
        candidate("c-1", "o-3"),
        candidate("c-1", "o-4", verdict="too_late"),
    )
    assert [(r.subject_key, r.others) for r in recipients.unpaged(OUTREACH, 1, "sms", 10)] == [("o-2", 1)]


def test_folding_again_changes_nothing(database: Database) -> None:
    recipients = added(database, candidate("c-1", "o-1"), candidate("c-1", "o-2"))
    before = recipients.unpaged(OUTREACH, 1, "sms", 10)
    recipients.fold_customers(OUTREACH, 1)
    assert recipients.unpaged(OUTREACH, 1, "sms", 10) == before


def test_folding_looks_at_its_own_revision_and_outreach(database: Database) -> None:
    recipients = added(database, candidate("c-1", "o-1"), candidate("c-1", "o-2"))
    for outreach, revision in ((OUTREACH, 2), ("outreach/other", 1)):
        recipients.add(outreach, revision, [candidate("c-1", "o-3")], first=7)
        recipients.fold_customers(outreach, revision)
        assert recipients.verdicts(outreach, revision) == {ELIGIBLE: 1}
        assert [r.others for r in recipients.unpaged(outreach, revision, "sms", 9)] == [0]


def test_folding_by_hand_agrees(database: Database) -> None:
    given = [candidate(f"c-{n * n % 7}", f"o-{n}", verdict=ELIGIBLE if n % 3 else "opted_out") for n in range(60)]
    recipients = added(database, *given)
    eligible = [c for c in given if c.verdict == ELIGIBLE]
    expected = {
        c.customer: (c.subject_key, sum(o.customer == c.customer for o in eligible) - 1) for c in reversed(eligible)
    }
    rows = recipients.unpaged(OUTREACH, 1, "sms", 100)
    assert {r.customer: (r.subject_key, r.others) for r in rows} == expected
    assert len(rows) == len(expected)


def test_pages_keep_the_order_of_positions(database: Database) -> None:
    recipients = paged(database, [candidate(f"c-{n}") for n in range(25)], size=10)
    pages = [recipients.page(OUTREACH, 1, number) for number in range(3)]
    assert [len(page) for page in pages] == [10, 10, 5]
    positions = [r.position for page in pages for r in page]
    assert positions == list(range(25))
    assert recipients.page_digests(OUTREACH, 1) == ["d-0", "d-1", "d-2"]
    assert [recipients.rows_on(OUTREACH, 1, a, b) for a, b in pairwise([0, 1, 3, 9])] == [10, 15, 0]


def test_each_row_of_a_page_gets_its_own_content(database: Database) -> None:
    recipients = paged(database, [candidate(f"c-{n}") for n in range(1000)], size=1000)
    page = recipients.page(OUTREACH, 1, 0)
    assert len(page) == 1000
    assert all(row.content_digest == f"content-{row.id}" for row in page)


def test_page_does_not_change_with_what_becomes_of_its_rows(database: Database) -> None:
    recipients = paged(database, [candidate(f"c-{n}") for n in range(4)])
    before = [(r.id, r.content_digest) for r in recipients.page(OUTREACH, 1, 0)]
    recipients.mark_cleared([before[0][0]], at=NOON)
    recipients.randomise(OUTREACH, 1, by(0.5), page=0)
    assert [(r.id, r.content_digest) for r in recipients.page(OUTREACH, 1, 0)] == before


def test_unpaged_is_of_one_channel_and_of_the_eligible(database: Database) -> None:
    recipients = added(
        database,
        candidate("c-1"),
        candidate("c-2", channel="email"),
        candidate("c-3", verdict="opted_out"),
        candidate("c-4"),
    )
    assert [r.customer for r in recipients.unpaged(OUTREACH, 1, "sms", 10)] == ["c-1", "c-4"]
    assert [r.customer for r in recipients.unpaged(OUTREACH, 1, "sms", 1)] == ["c-1"]
    assert [r.customer for r in recipients.unpaged(OUTREACH, 1, "email", 10)] == ["c-2"]
    assert recipients.unpaged(OUTREACH, 2, "sms", 10) == []


def test_what_was_given_is_kept_to_the_letter(database: Database) -> None:
    odd = {"a": 'Zoë "O\'Neil" \\ 🎉 {"b": 1}', "é.$": "\u2028", "n": -(2**53), "yes": True, "none": None, "": "\x7f"}
    given = candidate("c-'1\"", "o-\\$.x 🎉", cluster="a[0]").model_copy(
        update={"facts": odd, "timezone": None, "promises": {"update-1": NOON}}
    )
    left_out = Candidate(subject_key="o-2", customer="c-2", cluster="c-2", verdict="unknown_customer")
    recipients = added(database, given, left_out)
    (row,) = recipients.unpaged(OUTREACH, 1, "sms", 10)
    assert row.facts == odd
    assert [type(value) for value in row.facts.values()] == [type(value) for value in odd.values()]
    assert (row.customer, row.subject_key, row.timezone) == (given.customer, given.subject_key, None)
    assert row.promises == {"update-1": NOON}
    recipients.add_page(OUTREACH, 1, 0, "sms", {row.id: "content"}, "d-0")
    assert recipients.page(OUTREACH, 1, 0) == [row.model_copy(update={"content_digest": "content"})]
    assert recipients.verdicts(OUTREACH, 1) == {ELIGIBLE: 1, "unknown_customer": 1}


def test_who_stands_before_the_page_is_not_looked_at_again(database: Database) -> None:
    recipients = added(database, *(candidate(f"c-{n}") for n in range(5)))
    first, second, *_ = recipients.unpaged(OUTREACH, 1, "sms", 10)
    behind = recipients.unpaged(OUTREACH, 1, "sms", 2, after=second.position)
    assert [row.customer for row in behind] == ["c-2", "c-3"]
    recipients.add_page(OUTREACH, 1, 0, "sms", {first.id: "x", second.id: "y"}, "d-0")
    assert recipients.unpaged(OUTREACH, 1, "sms", 2) == behind


def test_left_out_recipient_stands_on_no_page(database: Database) -> None:
    recipients = added(database, candidate("c-1"), candidate("c-2"))
    first, second = recipients.unpaged(OUTREACH, 1, "sms", 10)
    recipients.leave_out([first.id], "text_does_not_fit")
    assert recipients.unpaged(OUTREACH, 1, "sms", 10) == [second]
    assert recipients.verdicts(OUTREACH, 1) == {ELIGIBLE: 1, "text_does_not_fit": 1}


def test_samples_are_the_first_of_each_channel(database: Database) -> None:
    recipients = added(database, *(candidate(f"c-{n}", channel=("sms", "email")[n % 2]) for n in range(12)))
    number = 0
    for channel in ("sms", "email"):
        while rows := recipients.unpaged(OUTREACH, 1, channel, 4):
            recipients.add_page(OUTREACH, 1, number, channel, {r.id: "x" for r in rows}, f"d-{number}")
            number += 1
    samples = recipients.samples(OUTREACH, 1, 2)
    assert [(r.channel, r.customer) for r in samples] == [
        ("email", "c-1"),
        ("email", "c-3"),
        ("sms", "c-0"),
        ("sms", "c-2"),
    ]


def test_discard_removes_one_revision(database: Database) -> None:
    recipients = paged(database, [candidate("c-1")])
    paged(database, [candidate("c-1")], revision=2)
    recipients.add(OUTREACH, 1, [candidate("c-2")], first=2 * DISCARDED)
    assert list(recipients.discard(OUTREACH, 1)) == [0, DISCARDED, 2 * DISCARDED]
    assert list(recipients.discard(OUTREACH, 1)) == []
    assert recipients.verdicts(OUTREACH, 1) == {}
    assert recipients.page(OUTREACH, 1, 0) == recipients.page_digests(OUTREACH, 1) == []
    assert len(recipients.page(OUTREACH, 2, 0)) == len(recipients.page_digests(OUTREACH, 2)) == 1


def test_still_affected_counts_the_eligible(database: Database) -> None:
    recipients = paged(database, [candidate("c-1"), candidate("c-2"), candidate("c-3", verdict="opted_out")])
    assert recipients.still_affected(OUTREACH) == {"open": 2, "cleared": 0}
    recipients.mark_cleared([recipients.page(OUTREACH, 1, 0)[0].id], at=NOON)
    assert recipients.still_affected(OUTREACH) == {"open": 1, "cleared": 1}
    recipients.mark_all_cleared(OUTREACH, at=NOON + DAY)
    assert recipients.still_affected(OUTREACH) == {"open": 0, "cleared": 2}


@pytest.mark.parametrize("again", ["one", "all"])
def test_first_instant_of_clearing_stays(database: Database, again: str) -> None:
    recipients = paged(database, [candidate("c-1")])
    (row,) = recipients.page(OUTREACH, 1, 0)
    recipients.mark_cleared([row.id], at=NOON)
    if again == "one":
        recipients.mark_cleared([row.id], at=NOON + DAY)
    else:
        recipients.mark_all_cleared(OUTREACH, at=NOON + DAY)
    assert recipients.page(OUTREACH, 1, 0)[0].cleared_at == NOON


def test_subject_keys_are_those_whose_condition_goes_on(database: Database) -> None:
    count = 2_100  # more than one list
    recipients = paged(
        database, [*(candidate(f"c-{n}") for n in range(count)), candidate("c-x", verdict="opted_out")], size=1000
    )
    paged(database, [candidate("c-1", "other")], outreach="outreach/other")
    first = recipients.page(OUTREACH, 1, 0)[0]
    recipients.mark_cleared([first.id], at=NOON)
    lists = list(recipients.subject_keys(OUTREACH))
    keys = [key for rows in lists for _, key in rows]
    assert sorted(keys) == sorted(f"o-{n}" for n in range(1, count))
    assert [len(rows) for rows in lists] == [2_000, count - 2_001]
