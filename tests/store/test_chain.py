"""The audit log: whatever is done to its rows is found, and whoever adds to it at once stands in one line."""

import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, delete, select, update

from tellfirst.errors import SourceError
from tellfirst.signing.trail import BEGINNING, Anchors, Entry, Link, anchor, faults, link, read_anchors
from tellfirst.store.anchor import AnchorFile
from tellfirst.store.chain import Chain
from tellfirst.store.decisions import differences
from tellfirst.store.engine import Database
from tellfirst.store.tables_audit import AuditRow
from tests.figures import Figure
from tests.store.make import HOUR, NOON, at_once

CASES = 100


def entry(number: int, kind: str = "decision") -> Entry:
    return Entry(
        kind=kind,
        about=f"outreach/late_delivery/k-{number}/1",
        actor="ana",
        at=NOON + number * HOUR,
        facts={"row": number, "code": ""},
        document="d" * 64,
    )


@pytest.fixture
def anchored(database: Database, tmp_path: Path) -> Database:
    # The engine of PostgreSQL is the session's: only this object knows the file.
    return Database(database.engine, anchor=tmp_path / "audit.anchor")


@pytest.fixture
def chain(anchored: Database) -> Chain:
    return Chain(anchored)


def written(database: Database) -> AnchorFile:
    assert database.anchor is not None
    return AnchorFile(database.anchor)


def test_an_entry_comes_back_in_its_place(chain: Chain, anchored: Database) -> None:
    assert chain.head() is None
    assert chain.faults() == []
    first, second = chain.append(entry(1)), chain.append(entry(2))
    assert (first.sequence, first.previous) == (1, BEGINNING)
    assert (second.sequence, second.previous) == (2, first.hash)
    assert chain.entries() == [first, second]
    assert chain.head() == second
    assert chain.faults() == []
    lines = [(a.sequence, a.stage) for a in read_anchors(written(anchored).read())]
    assert lines == [(1, "next"), (1, "head"), (2, "next"), (2, "head")]


def test_an_entry_stands_or_falls_with_its_transaction(chain: Chain, anchored: Database) -> None:
    kept = chain.append(entry(1))
    with anchored.write() as session:
        chain.append(entry(2), session)
        session.rollback()
    assert chain.entries() == [kept]
    assert chain.faults() == []
    chain.append(entry(3))
    assert chain.faults() == []


def test_without_an_anchor_nothing_is_written(chain: Chain, anchored: Database) -> None:
    file = written(anchored)
    file.path.mkdir()
    with pytest.raises(SourceError, match="anchor of the audit log cannot be written"):
        chain.append(entry(1))
    assert chain.entries() == []


def test_twenty_at_once_stand_in_one_line(chain: Chain) -> None:
    at_once([lambda n=n: chain.append(entry(n)) for n in range(20)])  # type: ignore[misc]
    links = chain.entries()
    assert [one.sequence for one in links] == list(range(1, 21))
    assert sorted(one.facts["row"] for one in links) == list(range(20))  # type: ignore[type-var]
    assert chain.faults() == []


def test_two_processes_at_once_stand_in_one_line(chain: Chain, anchored: Database) -> None:
    url = anchored.engine.url.render_as_string(hide_password=False)
    grow = (
        "import sys; from pathlib import Path; from tellfirst.store.chain import Chain\n"
        "from tellfirst.store.engine import Database, open_engine; from tests.store.test_chain import entry\n"
        "chain = Chain(Database(open_engine(sys.argv[1]), anchor=Path(sys.argv[2])))\n"
        "for number in range(15): chain.append(entry(number))\n"
    )
    given = (sys.executable, "-c", grow, url, str(anchored.anchor))
    both = [subprocess.Popen(given) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    links = chain.entries()
    assert [one.sequence for one in links] == list(range(1, 31))
    assert sorted(one.facts["row"] for one in links) == sorted([*range(15), *range(15)])  # type: ignore[type-var]
    assert chain.faults() == []


def test_a_change_is_noted_once(chain: Chain) -> None:
    def note(digest: str) -> bool:
        return chain.note_change("registry", "approvers", digest, actor="worker", at=NOON, people=2)

    assert at_once([lambda: note("a")] * 5).count(True) == 1
    assert note("b")
    assert not note("b")
    assert note("a")
    assert [one.facts["digest"] for one in chain.entries()] == ["a", "b", "a"]


def test_a_log_read_while_it_grows_has_no_faults(chain: Chain) -> None:
    for number in range(3):
        chain.append(entry(number))

    def grow(*_: object) -> list[str]:
        chain.append(entry(9))
        return []

    assert chain.faults(grow) == []
    assert len(chain.entries()) == 4


# -- tampering, by somebody who can write to the database and knows how entries are hashed

Rows = list[Link]


def edit(rows: Rows, chance: random.Random) -> Rows:
    """Changes one field of one entry, half of the time with its hash made right."""
    place = chance.randrange(len(rows))
    changes: list[dict[str, Any]] = [
        {"actor": "eve"},
        {"about": "outreach/late_delivery/other/1"},
        {"kind": "refusal"},
        {"at": rows[place].at + HOUR},
        {"facts": {**rows[place].facts, "code": "changed"}},
        {"document": "e" * 64},
    ]
    changed = rows[place].model_copy(update=chance.choice(changes))
    if chance.random() < 0.5:
        last = rows[place - 1] if place else None
        changed = link(Entry(**changed.model_dump(include=set(Entry.model_fields))), last)
    return [*rows[:place], changed, *rows[place + 1 :]]


def remove(rows: Rows, chance: random.Random) -> Rows:
    """Takes one entry out of the middle or from the front, half of the time closing the gap in the numbers."""
    place = chance.randrange(len(rows) - 1)
    left = [*rows[:place], *rows[place + 1 :]]
    return numbered(left) if chance.random() < 0.5 else left


def insert(rows: Rows, chance: random.Random) -> Rows:
    """Puts an entry of its own anywhere; at the end it is a perfect one."""
    place = chance.randrange(len(rows) + 1)
    forged = link(entry(chance.randrange(1000), "resume"), rows[place - 1] if place else None)
    return numbered([*rows[:place], forged, *rows[place:]])


def reorder(rows: Rows, chance: random.Random) -> Rows:
    """Swaps two entries."""
    one, other = chance.sample(range(len(rows)), 2)
    swapped = list(rows)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    return numbered(swapped)


def truncate(rows: Rows, chance: random.Random) -> Rows:
    """Cuts the end off, up to everything."""
    return rows[: chance.randrange(len(rows))]


def rebuild(rows: Rows, chance: random.Random) -> Rows:
    """Changes one entry and makes every hash after it right: within the database nothing is wrong."""
    place = chance.randrange(len(rows))
    made: Rows = []
    for number, row in enumerate(rows):
        content = Entry(**row.model_dump(include=set(Entry.model_fields)))
        if number == place:
            content = content.model_copy(update={"actor": "eve"})
        made.append(link(content, made[-1] if made else None))
    return made


def numbered(rows: Rows) -> Rows:
    return [row.model_copy(update={"sequence": number}) for number, row in enumerate(rows, 1)]


TAMPERING: list[Callable[[Rows, random.Random], Rows]] = [edit, remove, insert, reorder, truncate, rebuild]


@pytest.mark.parametrize("tamper", TAMPERING)
def test_every_tampering_is_found(
    tamper: Callable[[Rows, random.Random], Rows], chain: Chain, anchored: Database, figure: Figure
) -> None:
    chance = random.Random(tamper.__name__)
    for number in range(20):
        chain.append(entry(number))
    genuine = chain.entries()
    assert chain.faults() == []
    found = 0
    for _ in range(CASES):
        put(anchored, tamper(genuine, chance))
        found += bool(chain.faults())
        put(anchored, genuine)
    assert chain.faults() == []
    figure(f"audit log, {tamper.__name__}: {found} of {CASES} found on {anchored.engine.dialect.name}")
    assert found == CASES


def put(database: Database, rows: Rows) -> None:
    with database.write() as session:
        session.execute(delete(AuditRow))
        session.add_all(AuditRow(**row.model_dump()) for row in rows)


@pytest.mark.parametrize("tamper", [truncate, rebuild])
def test_without_anchors_a_cut_or_rebuilt_log_looks_right(tamper: Callable[[Rows, random.Random], Rows]) -> None:
    """Says why the anchors are there: take them away and these two are not found."""
    rows: Rows = []
    for number in range(20):
        rows.append(link(entry(number), rows[-1] if rows else None))
    assert faults(tamper(rows, random.Random(1)), None) == []


def test_an_entry_added_by_hand_is_found_even_after_genuine_ones(chain: Chain, anchored: Database) -> None:
    first = chain.append(entry(1))
    put(anchored, [first, link(entry(2, "resume"), first)])
    chain.append(entry(3))
    assert chain.faults() == ["audit log: entry 2 stands in no anchor"]


def test_an_entry_put_back_from_a_backup_is_found(chain: Chain, anchored: Database) -> None:
    """The log is cut and goes on: both lines stand in the anchor, and only one in the database."""
    links = [chain.append(entry(number)) for number in range(3)]
    put(anchored, links[:1])
    chain.append(entry(7))
    assert chain.faults() == ["audit log: 2 entries that were anchored are gone, the first is 2"]


def test_a_row_changed_in_place_is_found(chain: Chain, anchored: Database) -> None:
    for number in range(3):
        chain.append(entry(number))
    with anchored.write() as session:
        session.execute(update(AuditRow).where(col(AuditRow.sequence) == 2).values(actor="eve"))
    assert chain.faults() == ["audit log: entry 2 is not as it was written"]
    with anchored.read() as session:
        assert session.exec(select(AuditRow.actor).where(AuditRow.sequence == 2)).one() == "eve"


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'boss@example.com'",  # what an entry of ours leaves out must not be left out of an edited one
        "kind = ''",
        """facts = '[1]'""",
        """facts = '{"row": [1]}'""",
        """facts = '{"row": 1.5}'""",
    ],
)
def test_an_entry_edited_into_what_none_can_be_is_found_and_stops_nothing(
    change: str, chain: Chain, anchored: Database
) -> None:
    nobodys = entry(2, "decision").model_copy(update={"actor": ""})
    for one in (entry(1), nobodys):
        chain.append(one)
    with anchored.write() as session:
        session.connection().exec_driver_sql(f"UPDATE audit SET {change} WHERE sequence = 2")
    assert chain.faults(differences)[0] == "audit log: entry 2 is not as it was written"
    assert chain.append(entry(3)).sequence == 3


@pytest.mark.parametrize("change", ["at = 'noon'", "facts = '{'"])
def test_an_entry_that_cannot_be_read_at_all_is_told(change: str, chain: Chain, anchored: Database) -> None:
    if not anchored.is_sqlite:
        return  # PostgreSQL holds its columns to their types
    chain.append(entry(1))
    with anchored.write() as session:
        session.connection().exec_driver_sql(f"UPDATE audit SET {change}")
    assert chain.faults(differences) == ["audit log: it cannot be read: an entry holds what none can hold"]


@pytest.mark.parametrize(
    "line", [f"2 {'z' * 64} x next", f"0 {'0' * 64} x head", f"{'9' * 5000} {'0' * 64} x head", "\0" * 90, "\x0b\x1c"]
)
def test_a_spoilt_line_of_the_anchor_says_nothing(line: str, chain: Chain, anchored: Database) -> None:
    chain.append(entry(1))
    with written(anchored).path.open("a") as out:
        out.write(f"{line}\n")
    chain.append(entry(2))
    assert chain.faults() == []


@pytest.mark.parametrize("tamper", [edit, remove, insert, reorder, truncate, rebuild])
def test_the_first_and_the_last_entry_are_held_as_fast(
    tamper: Callable[[Rows, random.Random], Rows], chain: Chain, anchored: Database
) -> None:
    """Two entries and one: every place is an end."""
    for number in range(2):
        chain.append(entry(number))
    genuine, chance = chain.entries(), random.Random(tamper.__name__)
    for _ in range(20):
        put(anchored, tamper(genuine, chance))
        assert chain.faults()
    put(anchored, genuine)
    assert chain.faults() == []


# -- anchors


def test_a_worker_that_died_between_commit_and_anchor_breaks_nothing(chain: Chain, anchored: Database) -> None:
    chain.append(entry(1))
    last = chain.append(entry(2))
    file = written(anchored)
    file.path.write_text("".join(file.read().splitlines(keepends=True)[:-1]))
    assert chain.faults() == []
    # It was announced, so that nobody else can have put it there.
    file.path.write_text("".join(line for line in file.read().splitlines(keepends=True) if last.hash not in line))
    assert chain.faults() == ["audit log: entry 2 stands in no anchor"]


def test_a_line_cut_off_by_a_power_cut_says_nothing_and_ends_nothing(chain: Chain, anchored: Database) -> None:
    chain.append(entry(1))
    file = written(anchored)
    with file.path.open("a") as out:
        out.write("2 0123")
    chain.append(entry(2))
    assert chain.faults() == []
    assert "2 0123\n2 " in file.read()


def test_a_line_that_a_full_disk_cuts_off_is_no_announcement(chain: Chain, anchored: Database) -> None:
    chain.append(entry(1))
    file = written(anchored)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.path.stat().st_size + 5, before[1]))
    try:
        with pytest.raises(SourceError, match="anchor of the audit log cannot be written"):
            file.add("2 and so on\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    chain.append(entry(2))
    assert chain.faults() == []


def test_a_missing_anchor_file_is_told(chain: Chain, anchored: Database) -> None:
    chain.append(entry(1))
    written(anchored).path.unlink()
    assert chain.faults() == ["audit log: entry 1 stands in no anchor"]


def test_a_copy_kept_elsewhere_finds_what_the_file_itself_hides(
    chain: Chain, anchored: Database, tmp_path: Path
) -> None:
    for number in range(3):
        chain.append(entry(number))
    copy = tmp_path / "copy"
    copy.write_text(written(anchored).read())
    forged = rebuild(chain.entries(), random.Random(1))
    put(anchored, forged)
    written(anchored).path.write_text("".join(anchor(one, "head").line for one in forged))
    assert chain.faults() == []
    assert any("that were anchored are gone" in fault for fault in chain.faults(copies=[copy]))


def test_what_is_committed_while_the_log_is_read_is_neither_missing_nor_strange() -> None:
    first = link(entry(1), None)
    second = link(entry(2), first)
    before = (anchor(first, "head"),)
    after = (*before, anchor(second, "next"), anchor(second, "head"))
    assert faults([first], Anchors(confirmed=before, named=after)) == []
    assert faults([first, second], Anchors(confirmed=before, named=after)) == []
    assert faults([first], Anchors(confirmed=after, named=after)) == ["audit log: entry 2 that was anchored is gone"]
