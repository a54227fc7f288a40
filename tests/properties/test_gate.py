"""The gate on any facts: what may leave meets every condition, and nothing that speaks against it ever opens it."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tellfirst.domain.plan import CORRECTION
from tellfirst.policy.consent import PURPOSES, choice_of, may_contact
from tellfirst.policy.gate import PageFacts, RowFacts, judge_page, judge_row
from tellfirst.policy.hours import ALWAYS, Calendar, Span, opening
from tellfirst.policy.verdict import ALLOW, Consent, Verdict
from tests.properties.trying import examples

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CHANNELS = ("sms", "email")
KINDS = ("initial", "update", "resolved", CORRECTION)

instants = st.integers(-3, 3).map(lambda n: NOON + n * MINUTE)
words = st.sampled_from(["", "", "", "why"])
mostly = st.sampled_from([True, True, True, False])
seldom = mostly.map(lambda yes: not yes)
statements = st.builds(
    Consent,
    channel=st.sampled_from([*CHANNELS, "*"]),
    purpose=st.sampled_from([*PURPOSES, "*"]),
    allowed=st.booleans(),
    at=instants,
)
said = st.lists(statements, max_size=5)
spans = st.builds(
    lambda a, b: Span(days=frozenset(range(7)), opens=min(a, b), closes=max(a, b) + 1),
    st.integers(0, 1_439),
    st.integers(0, 1_439),
)
calendars = st.just(ALWAYS) | st.builds(
    Calendar,
    zones=st.sampled_from([(), ("UTC",), ("UTC", "Asia/Kolkata")]),
    rules=st.lists(st.tuples(spans), max_size=2).map(tuple),
)
pages = st.builds(
    PageFacts,
    now=instants,
    pause_all=seldom,
    paused=seldom,
    blocked=words,
    channel_halted=words,
    decision=words,
    library=words,
    not_after=st.sampled_from([NOON - MINUTE, NOON, NOON + MINUTE, NOON + timedelta(hours=20)]),
    not_before=st.none() | instants,
    step_kind=st.sampled_from(KINDS),
    channel=st.sampled_from(CHANNELS),
    purpose=st.sampled_from(PURPOSES),
)
rows = st.builds(
    RowFacts,
    condition_holds=st.booleans(),
    address=st.sampled_from(["+15550001", "+15550001", None]),
    address_usable=mostly,
    address_unchanged=mostly,
    content_unchanged=mostly,
    consents=said.map(tuple),
    reserved=mostly,
    held=seldom,
    told_before=seldom,
    calendar=calendars,
)


def in_time(page: PageFacts, row: RowFacts) -> bool:
    opens = opening(row.calendar, page.now)
    return opens is not None and opens < page.not_after


# As docs/architecture.md says it: what has to hold, and the reason that is named where it does not.
OF_PAGE: list[tuple[str, str, Callable[[PageFacts], bool]]] = [
    ("pause-all", "pause_all", lambda page: not page.pause_all),
    ("this outreach paused", "paused", lambda page: not page.paused),
    ("blocked by the provider", "why", lambda page: not page.blocked),
    ("channel halted", "why", lambda page: not page.channel_halted),
    ("decision holds", "decision:why", lambda page: not page.decision),
    ("playbook live", "why", lambda page: not page.library),
    ("not too early", "too_early", lambda page: page.not_before is None or page.now >= page.not_before),
]
OF_ROW: list[tuple[str, set[str], Callable[[PageFacts, RowFacts], bool]]] = [
    (
        "condition still true",
        {"condition_cleared", "condition_still_true"},
        lambda page, row: page.step_kind == CORRECTION or row.condition_holds != (page.step_kind == "resolved"),
    ),
    ("not too late", {"too_late"}, lambda page, _: page.now < page.not_after),
    (
        "address there and unchanged",
        {"address_gone", "address_changed"},
        lambda _, row: row.address is not None and row.address_usable and row.address_unchanged,
    ),
    ("text unchanged", {"content_changed"}, lambda _, row: row.content_unchanged),
    ("consent", {"opted_out"}, lambda page, row: may_contact(row.consents, page.channel, page.purpose)),
    ("not held", {"held"}, lambda _, row: not row.held),
    ("not told by a channel before", {"told_before"}, lambda _, row: not row.told_before),
    ("cap reserved", {"frequency_cap"}, lambda _, row: row.reserved),
    ("an hour at which they may be disturbed", {"quiet_hours", "too_late", "unknown_zone"},
     lambda page, row: opening(row.calendar, page.now) == page.now),
]  # fmt: skip


def decided(page: PageFacts, row: RowFacts) -> Verdict:
    """Returns what becomes of one message: what its page says, or else what its row does."""
    verdict = judge_page(page)
    return verdict if verdict != ALLOW else judge_row(page, row)


@examples(300)
@given(pages)
def test_a_page_names_the_first_that_is_not_so(page: PageFacts) -> None:
    wrong = next((reason for _, reason, holds in OF_PAGE if not holds(page)), None)
    verdict = judge_page(page)
    assert verdict == ALLOW if wrong is None else (verdict.kind, verdict.reason) == ("halt", wrong)


@examples(400)
@given(pages, rows)
def test_a_row_leaves_just_where_everything_holds_and_names_the_first_that_does_not(
    page: PageFacts, row: RowFacts
) -> None:
    wrong = next((reasons for _, reasons, holds in OF_ROW if not holds(page, row)), None)
    verdict = judge_row(page, row)
    if wrong is None:
        assert verdict == ALLOW
        return
    assert verdict.reason in wrong
    waits = verdict.reason == "quiet_hours"
    assert verdict.kind == ("defer" if waits else "withhold")
    if waits:
        assert in_time(page, row)
        assert verdict.until is not None
        assert page.now < verdict.until < page.not_after


def test_the_order_is_the_one_that_is_documented() -> None:
    documented = " ".join(ARCHITECTURE.read_text().split())
    of_page, of_row = (", ".join(words for words, *_ in some) for some in (OF_PAGE, OF_ROW))
    assert f"The gate, in this order: {of_page}; then per row: {of_row}." in documented


# What may come to speak against a message, none of which may ever speak for it.
AGAINST_PAGE: list[dict[str, Any]] = [
    {"pause_all": True},
    {"paused": True},
    {"blocked": "why"},
    {"channel_halted": "why"},
    {"decision": "why"},
    {"library": "why"},
    {"not_before": NOON + timedelta(hours=1)},
]
AGAINST_ROW: list[dict[str, Any]] = [
    {"address": None},
    {"address_usable": False},
    {"address_unchanged": False},
    {"content_unchanged": False},
    {"reserved": False},
    {"held": True},
    {"told_before": True},
    {"calendar": Calendar(rules=((Span(days=frozenset(), opens=0, closes=1),),))},
]
RANKS = ("allow", "defer", "withhold", "halt")


@examples(400)
@given(pages, rows, st.sampled_from(AGAINST_PAGE + AGAINST_ROW))
def test_one_more_reason_never_opens_what_was_closed(page: PageFacts, row: RowFacts, against: dict[str, Any]) -> None:
    page_too = page.model_copy(update=against if against in AGAINST_PAGE else {})
    row_too = row.model_copy(update=against if against in AGAINST_ROW else {})
    before, after = decided(page, row), decided(page_too, row_too)
    assert after != ALLOW
    assert RANKS.index(after.kind) >= RANKS.index(before.kind)


@examples(200)
@given(pages, rows, st.booleans())
def test_an_end_of_the_condition_closes_all_but_the_word_of_it(page: PageFacts, row: RowFacts, holds: bool) -> None:
    assume(page.step_kind != CORRECTION)
    verdict = judge_row(page, row.model_copy(update={"condition_holds": holds}))
    assert verdict != ALLOW or holds == (page.step_kind != "resolved")


@examples(200)
@given(pages, rows, statements, st.data())
def test_an_opt_out_more_never_opens_and_the_latest_closes(
    page: PageFacts, row: RowFacts, stop: Consent, data: st.DataObject
) -> None:
    stop = stop.model_copy(update={"allowed": False})
    place = data.draw(st.integers(0, len(row.consents)))
    more = (*row.consents[:place], stop, *row.consents[place:])
    after = decided(page, row.model_copy(update={"consents": more}))
    assert after != ALLOW or decided(page, row) == ALLOW
    latest = all(one.at <= stop.at for one in row.consents)
    if latest and stop.channel in ("*", page.channel) and stop.purpose in ("*", page.purpose):
        assert after != ALLOW


@examples(200)
@given(pages, rows, st.randoms(use_true_random=False))
def test_statements_read_in_any_order_and_twice_give_one_answer(
    page: PageFacts, row: RowFacts, chance: random.Random
) -> None:
    again = _shuffled([*row.consents, *row.consents], chance)
    assert decided(page, row.model_copy(update={"consents": tuple(again)})) == decided(page, row)
    assert choice_of(again, CHANNELS) == choice_of(row.consents, CHANNELS)


@pytest.mark.parametrize("facts", [PageFacts, RowFacts])
def test_no_fact_is_left_out(facts: type[PageFacts] | type[RowFacts]) -> None:
    """A fact that the gate is given anew has to be given here too."""
    about = {"now", "not_after", "step_kind", "channel", "purpose", "condition_holds", "consents"}
    named = {name for one in AGAINST_PAGE + AGAINST_ROW for name in one}
    assert set(facts.model_fields) <= about | named


def _shuffled(some: Sequence[Consent], chance: random.Random) -> list[Consent]:
    given_order = list(some)
    chance.shuffle(given_order)
    return given_order
