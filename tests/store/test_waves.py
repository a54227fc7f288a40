"""Waves: arms that stay, clusters that stay together, and a frequency cap that two outreaches cannot both pass."""

from collections import defaultdict
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from tellfirst.domain.plan import PageSpan
from tellfirst.domain.recipient import Wave
from tellfirst.policy.quiet import Allowed, HoursTable
from tellfirst.store.engine import Database
from tellfirst.store.leases import Leases, PageKey
from tellfirst.store.preferences import Preference, Preferences
from tellfirst.store.recipients import Recipients
from tellfirst.store.sends import Sends
from tellfirst.store.tables import CustomerRow, RecipientRow, ReservationRow
from tellfirst.store.whereabouts import HourRules
from tests.store.make import DAY, HOUR, NOON, OUTREACH, at_once, by, candidate, customers, meeting, paged

OTHER = "outreach/late_delivery/k-2/1"
THIRD = "outreach/late_delivery/k-3/1"


def rows(database: Database, outreach: str = OUTREACH) -> list[RecipientRow]:
    with database.read() as session:
        query = select(RecipientRow).where(RecipientRow.outreach_id == outreach).order_by(RecipientRow.id)  # type: ignore[arg-type]
        return list(session.exec(query))


def places(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        return sorted((r.customer_id, r.outreach_id) for r in session.exec(select(ReservationRow)))


def state(database: Database, outreach: str = OUTREACH) -> list[tuple[object, ...]]:
    return [(r.id, r.arm, r.share, r.t0, r.window_end, r.withheld) for r in rows(database, outreach)]


def fill(database: Database, names: list[str], *outreaches: str) -> Recipients:
    customers(database, names)
    for outreach in outreaches:
        paged(database, [candidate(name) for name in names], outreach=outreach)
    return Recipients(database)


def test_randomising_again_changes_nothing(database: Database) -> None:
    recipients = fill(database, [f"c-{n}" for n in range(50)], OUTREACH)
    recipients.randomise(OUTREACH, 1, by(0.5), page=0)
    before, held = state(database), places(database)
    assert {row[1] for row in before} == {"treated", "control"}
    recipients.randomise(OUTREACH, 1, by(0.1, salt="another", t0=NOON + HOUR), page=0)
    assert (state(database), places(database)) == (before, held)


def test_t0_and_window_stand_on_every_row_of_both_arms(database: Database) -> None:
    recipients = fill(database, [f"c-{n}" for n in range(20)], OUTREACH)
    recipients.randomise(OUTREACH, 1, by(0.5, t0=NOON + HOUR), page=0)
    assert {(r.t0, r.window_end, r.share) for r in rows(database)} == {(NOON + HOUR, NOON + HOUR + 3 * DAY, 0.5)}


def test_only_the_asked_page_is_randomised(database: Database) -> None:
    names = [f"c-{n}" for n in range(4)]
    customers(database, names)
    recipients = paged(database, [candidate(name) for name in names], size=2)
    recipients.randomise(OUTREACH, 1, by(), page=1)
    assert [r.arm for r in rows(database)] == [None, None, "treated", "treated"]


@given(
    clusters=st.lists(st.sampled_from([f"k-{n}" for n in range(8)]), min_size=1, max_size=24),
    share=st.floats(0, 0.99),
    later=st.floats(0, 0.99),
    salt=st.text("abc", min_size=1, max_size=4),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cluster_stands_in_one_arm(
    database: Database, clusters: list[str], share: float, later: float, salt: str
) -> None:
    recipients, outreach = Recipients(database), f"outreach/late_delivery/{uuid4().hex}/1"
    for revision in (1, 2):
        paged(
            database,
            [candidate(f"c-{n}", cluster=cluster) for n, cluster in enumerate(clusters)],
            outreach=outreach,
            revision=revision,
            size=5,
        )
    for revision, its_share in ((1, share), (2, later)):  # the playbook may change between two revisions
        for page in range(-(-len(clusters) // 5)):
            recipients.randomise(outreach, revision, by(its_share, salt=salt, cap_exempt=True), page=page)
    arms = defaultdict(set)
    for row in rows(database, outreach):
        arms[row.cluster].add((row.arm, row.share))
    assert all(len(found) == 1 for found in arms.values())
    assert all(share == found_share for found in arms.values() for _, found_share in found)


def test_share_is_kept(database: Database) -> None:
    recipients = Recipients(database)
    paged(database, [candidate(f"c-{n}") for n in range(2_000)], size=1_000)
    for page in (0, 1):
        recipients.randomise(OUTREACH, 1, by(0.2, cap_exempt=True), page=page)
    arms = recipients.arms(OUTREACH)
    assert arms["treated"] + arms["control"] == 2_000
    assert abs(arms["control"] - 400) < 4 * (2_000 * 0.2 * 0.8) ** 0.5  # beyond four standard errors: 1 in 15,000


def test_without_a_hold_out_everyone_is_treated(database: Database) -> None:
    recipients = fill(database, ["c-1", "c-2"], OUTREACH)
    recipients.randomise(OUTREACH, 1, by(0.0), page=0)
    assert recipients.arms(OUTREACH) == {"treated": 2}


def test_cap_sets_aside_before_the_draw(database: Database) -> None:
    recipients = fill(database, ["c-1", "c-2"], OTHER)
    paged(database, [candidate("c-1"), candidate("c-3")])
    recipients.randomise(OTHER, 1, by(cap=1), page=0)
    recipients.randomise(OUTREACH, 1, by(0.5, cap=1), page=0)
    kept = {r.customer_id: (r.withheld, r.arm is None, r.t0 is None) for r in rows(database)}
    assert kept == {"c-1": ("frequency_cap", True, True), "c-3": (None, False, False)}
    assert ("c-1", OUTREACH) not in places(database)


def test_held_out_customer_holds_a_place_too(database: Database) -> None:
    names = [f"c-{n}" for n in range(40)]
    recipients = fill(database, names, OUTREACH, OTHER)
    recipients.randomise(OUTREACH, 1, by(0.5, cap=1), page=0)
    assert recipients.arms(OUTREACH)["control"] > 0
    assert [c for c, _ in places(database)] == sorted(names)
    recipients.randomise(OTHER, 1, by(0.0, cap=1), page=0)
    assert {r.withheld for r in rows(database, OTHER)} == {"frequency_cap"}


@pytest.mark.parametrize(("later", "withheld"), [(7 * DAY - HOUR, "frequency_cap"), (7 * DAY, None)])
def test_place_is_free_again_after_the_period(database: Database, later: object, withheld: str | None) -> None:
    recipients = fill(database, ["c-1"], OUTREACH, OTHER)
    recipients.randomise(OUTREACH, 1, by(cap=1), page=0)
    recipients.randomise(OTHER, 1, by(cap=1, t0=NOON + later), page=0)  # type: ignore[operator]
    assert [r.withheld for r in rows(database, OTHER)] == [withheld]


def test_own_place_does_not_count_against_a_later_revision(database: Database) -> None:
    recipients = fill(database, ["c-1"], OUTREACH)
    recipients.randomise(OUTREACH, 1, by(cap=1), page=0)
    paged(database, [candidate("c-1", "o-9")], revision=2)
    recipients.randomise(OUTREACH, 2, by(cap=1), page=0)
    assert recipients.wave(OUTREACH, 2).treated == 1
    assert places(database) == [("c-1", OUTREACH)]


def test_exempt_outreach_passes_the_cap_and_still_holds_a_place(database: Database) -> None:
    recipients = fill(database, ["c-1"], OUTREACH, OTHER, THIRD)
    recipients.randomise(OUTREACH, 1, by(cap=1), page=0)
    recipients.randomise(OTHER, 1, by(cap=0, cap_exempt=True), page=0)
    assert recipients.wave(OTHER, 1).treated == 1
    recipients.randomise(THIRD, 1, by(cap=2), page=0)
    assert recipients.wave(THIRD, 1).withheld == 1


def test_two_outreaches_at_once_cannot_both_take_the_last_place(database: Database) -> None:
    names = [f"c-{n}" for n in range(30)]
    recipients = fill(database, names, THIRD, OUTREACH, OTHER)
    recipients.randomise(THIRD, 1, by(cap=2), page=0)
    with meeting(database, "INSERT INTO reservations"):
        at_once(
            [lambda o=o: recipients.randomise(o, 1, by(0.5, cap=2), page=0) for o in (OUTREACH, OTHER)]  # type: ignore[misc]
        )
    held = defaultdict(int)
    for customer, _ in places(database):
        held[customer] += 1
    assert held == dict.fromkeys(names, 2)
    taken = [recipients.wave(o, 1) for o in (OUTREACH, OTHER)]
    assert sorted(wave.withheld for wave in taken) == [0, len(names)]


def test_two_attempts_at_once_draw_a_page_once(database: Database) -> None:
    recipients = fill(database, ["c-1", "c-2"], OUTREACH)

    def second() -> None:
        recipients.randomise(OUTREACH, 1, by(t0=NOON + HOUR), page=0)

    with meeting(database, "UPDATE recipients"):
        at_once([lambda: recipients.randomise(OUTREACH, 1, by(), page=0), second])
    with database.read() as session:
        times = {r.customer_id: r.at for r in session.exec(select(ReservationRow))}
    assert len({r.t0 for r in rows(database)}) == 1
    assert {times[r.customer_id] for r in rows(database)} == {rows(database)[0].t0}


def test_cleared_recipient_is_set_aside_and_holds_no_place(database: Database) -> None:
    recipients = fill(database, ["c-1", "c-2"], OUTREACH)
    recipients.mark_cleared([rows(database)[0].id or 0], at=NOON)
    recipients.randomise(OUTREACH, 1, by(), page=0)
    assert [(r.withheld, r.arm) for r in rows(database)] == [("condition_cleared", None), (None, "treated")]
    assert places(database) == [("c-2", OUTREACH)]


def test_wave_counts_the_eligible_of_one_revision(database: Database) -> None:
    names = [f"c-{n}" for n in range(30)]
    recipients = fill(database, [*names, "c-x"], THIRD)
    recipients.randomise(THIRD, 1, by(), page=0)
    paged(database, [*(candidate(n) for n in names), candidate("c-x"), candidate("c-y", verdict="opted_out")])
    recipients.mark_cleared([rows(database)[0].id or 0], at=NOON)
    recipients.randomise(OUTREACH, 1, by(0.5, cap=9), page=0)
    wave, arms = recipients.wave(OUTREACH, 1), recipients.arms(OUTREACH)
    assert wave.withheld == 1
    assert (wave.treated, wave.control) == (arms["treated"], arms["control"])
    assert wave.treated + wave.control == 30
    assert recipients.wave(OUTREACH, 2) == Wave(treated=0, control=0, withheld=0)


NIGHT = HourRules(
    table=HoursTable(
        allowed=(Allowed(regions=("*",), source="test", checked_on=NOON.date(), **{"from": "08:00", "to": "11:00"}),)
    ),
    default_zone="UTC",
)
MORNING = NOON + 20 * HOUR


def test_whose_hour_has_not_come_waits_and_holds_no_place(database: Database) -> None:
    recipients = fill(database, ["c-1", "c-2"], OUTREACH)
    customers_in(database, {"c-2": "Asia/Tokyo"})  # nine in the evening
    waiting = recipients.randomise(OUTREACH, 1, by(hours=NIGHT), page=0)
    assert waiting == [MORNING, MORNING - 9 * HOUR]
    assert [r.arm for r in rows(database)] == [None, None]
    assert places(database) == []
    assert recipients.undrawn(OUTREACH, 1, end=1) == [0]
    assert recipients.randomise(OUTREACH, 1, by(hours=NIGHT, t0=waiting[1]), page=0) == [MORNING]
    assert [(r.customer_id, r.t0) for r in rows(database) if r.arm] == [("c-2", waiting[1])]
    assert recipients.wave(OUTREACH, 1) == Wave(treated=1, control=0, withheld=0, waiting=1)


def open_page(database: Database, page: int) -> None:
    """Plans the first messages of a page."""
    key = PageKey(outreach=OUTREACH, revision=1, step="initial", page=page)
    token = Leases(database).take(key, now=NOON, until=NOON + HOUR)
    assert token is not None
    Sends(database).open_page(key, kind="initial", channel="sms", repeat=None, token=token)


def test_a_wave_says_where_it_drew_whichever_attempt_did(database: Database) -> None:
    names = [f"c-{n}" for n in range(8)]
    customers(database, names)
    recipients = paged(database, [candidate(name) for name in names], size=2)
    for page in (0, 1, 3):
        recipients.randomise(OUTREACH, 1, by(), page=page)
    recipients.randomise(OUTREACH, 1, by(t0=NOON + HOUR), page=2)
    assert recipients.unopened(OUTREACH, 1) == (PageSpan(first=0, end=4),)
    open_page(database, 1)
    assert recipients.unopened(OUTREACH, 1) == (PageSpan(first=0, end=1), PageSpan(first=2, end=4))
    assert recipients.undrawn(OUTREACH, 1, end=4) == []


def test_whose_hour_comes_too_late_is_set_aside(database: Database) -> None:
    recipients = fill(database, ["c-1", "c-2"], OUTREACH)
    recipients.mark_cleared([rows(database)[0].id or 0], at=NOON)
    assert recipients.randomise(OUTREACH, 1, by(hours=NIGHT, not_after=MORNING), page=0) == []
    assert [(r.withheld, r.arm) for r in rows(database)] == [("condition_cleared", None), ("too_late", None)]
    assert places(database) == []


def test_a_customer_s_own_quiet_hours_are_read_when_the_wave_is_due(database: Database) -> None:
    recipients = fill(database, ["c-1"], OUTREACH)
    Preferences(database).choose("c-1", Preference(timezone="UTC", quiet=(11 * 60, 13 * 60)), at=NOON)
    always = NIGHT.model_copy(update={"table": HoursTable(allowed=())})
    assert recipients.randomise(OUTREACH, 1, by(hours=always), page=0) == [NOON + HOUR]


@pytest.mark.parametrize(("urgency", "waits"), [("normal", [NOON + HOUR]), ("high", [NOON + HOUR]), ("urgent", [])])
def test_the_later_of_two_outreaches_waits_an_hour(database: Database, urgency: str, waits: list[object]) -> None:
    recipients = fill(database, ["c-1"], OTHER, OUTREACH)
    recipients.randomise(OTHER, 1, by(), page=0)
    assert recipients.randomise(OUTREACH, 1, by(urgency=urgency), page=0) == waits  # type: ignore[arg-type]
    assert recipients.randomise(OUTREACH, 1, by(urgency=urgency, t0=NOON + HOUR), page=0) == []  # type: ignore[arg-type]
    assert recipients.arms(OUTREACH) == {"treated": 1}


def test_two_outreaches_at_once_are_still_an_hour_apart(database: Database) -> None:
    names = [f"c-{n}" for n in range(10)]
    recipients = fill(database, names, OUTREACH, OTHER)
    with meeting(database, "INSERT INTO reservations"):
        waiting = at_once(
            [lambda o=o: recipients.randomise(o, 1, by(urgency="normal"), page=0) for o in (OUTREACH, OTHER)]  # type: ignore[misc]
        )
    assert sorted(waiting) == [[], [NOON + HOUR] * 10]


def test_no_volume_of_others_keeps_an_outage_notice_from_a_customer(database: Database) -> None:
    recipients = fill(database, ["c-1"], THIRD, OTHER, OUTREACH)
    recipients.randomise(THIRD, 1, by(cap=1, urgency="normal"), page=0)
    later = NOON + 2 * HOUR
    recipients.randomise(OTHER, 1, by(cap=1, urgency="urgent", t0=later), page=0)
    assert recipients.wave(OTHER, 1).treated == 1, "normal ones do not take its place"
    recipients.randomise(OUTREACH, 1, by(cap=2, urgency="high", t0=later + 2 * HOUR), page=0)
    assert recipients.wave(OUTREACH, 1).treated == 1, "one urgent place of two"
    paged(database, [candidate("c-1", "o-9")], outreach="outreach/late_delivery/k-4/1")
    recipients.randomise("outreach/late_delivery/k-4/1", 1, by(cap=3, t0=later + 4 * HOUR, urgency="normal"), page=0)
    assert recipients.wave("outreach/late_delivery/k-4/1", 1).withheld == 1, "three places of every class"


def customers_in(database: Database, zones: dict[str, str]) -> None:
    with database.write() as session:
        for name, zone in zones.items():
            session.get_one(CustomerRow, name).timezone = zone
