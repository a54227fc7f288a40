"""What customers wrote back, as the people who work with it see it; their words only to whoever asks for them."""

import pytest

from tellfirst.domain.message import SendState
from tellfirst.policy.consent import may_contact
from tellfirst.policy.replies import Kind, Reading
from tellfirst.store.chain import Chain
from tellfirst.store.customers import Customers
from tellfirst.store.engine import Database
from tellfirst.store.replies import Incoming, Replies, reply_id
from tests.cli.conftest import Shell
from tests.store.desk import Desk
from tests.store.make import NOON, OUTREACH

SECRET = "my neighbour took it in"


@pytest.fixture
def written(database: Database) -> Replies:
    """Is an outreach to which three customers wrote back, and somebody whom nobody knows."""
    desk = Desk(database)
    desk.deliver(dict.fromkeys(("c-0", "c-1", "c-2"), SendState.ACCEPTED))
    replies = Replies(database)
    for number, (text, reading) in enumerate(
        [
            (SECRET, Reading(kind=Kind.REPLY, tone="thanks")),
            ("stop the parcel", Reading(kind=Kind.DOUBTFUL, tone="angry", need="doubt")),
            ("STOP", Reading(kind=Kind.OPT_OUT)),
        ]
    ):
        replies.take(
            Incoming(id=f"t-{number}", channel="sms", address=f"+1555{number:07d}", text=text), reading, now=NOON
        )
    stranger = Incoming(id="t-9", channel="sms", address="+15550009999", text="who is this")
    replies.take(stranger, Reading(kind=Kind.REPLY, tone="why", need="person"), now=NOON)
    return replies


def test_replies_are_listed_without_their_words(shell: Shell, written: Replies) -> None:
    done = shell("replies", OUTREACH)
    assert done.code == 0
    for words in ("c-0", "says thanks", "angry, may be an opt-out", "opted out", "3 replies; --text"):
        assert words in done.out
    assert SECRET not in done.out
    told = shell("replies", OUTREACH, "--json").document
    assert {(one["customer"], one["kind"], one["need"]) for one in told} == {
        ("c-0", "reply", ""),
        ("c-1", "doubtful", "doubt"),
        ("c-2", "opt_out", ""),
    }
    assert all("text" not in one for one in told)


def test_their_words_are_shown_to_whoever_asks_and_that_is_recorded(
    shell: Shell, written: Replies, database: Database
) -> None:
    assert SECRET in shell("replies", OUTREACH, "--text", "--as", "ana").out
    assert logged(database)[-1] == ("replies_shown", OUTREACH, "ana")


def test_what_answers_nothing_of_ours(shell: Shell, written: Replies) -> None:
    done = shell("replies")
    assert "unknown" in done.out
    assert "asks why they get this, asks for a person" in done.out
    assert "+1555" not in done.out


def test_an_outreach_that_is_not_there(shell: Shell, written: Replies) -> None:
    assert shell("replies", "outreach/x/y/1").code == 1


def test_show_counts_them(shell: Shell, written: Replies) -> None:
    assert f"1 angry, 1 opted out, 1 says thanks: tellfirst replies {OUTREACH}" in " ".join(
        shell("show", OUTREACH).out.split()
    )
    assert shell("show", OUTREACH, "--json").document["replies"] == {"angry": 1, "opt_out": 1, "thanks": 1}


@pytest.mark.parametrize(("flag", "allowed"), [("--opt-out", False), ("--no-opt-out", True)])
def test_a_hold_ends_by_a_person(shell: Shell, written: Replies, database: Database, flag: str, allowed: bool) -> None:
    assert OUTREACH in shell("holds").out
    assert [one["customer"] for one in shell("holds", "--json").document] == ["c-1"]
    assert shell("holds", "end", "c-1").code == 2
    assert shell("holds", "end", "c-1", flag, "--as", "ana").code == 0
    said = Customers(database).resolve(["c-1"])["c-1"].consents
    assert may_contact(said, "sms", "service") is allowed
    assert "nobody is held" in shell("holds").out
    assert shell("holds", "end", "c-1", flag).code == 1
    assert logged(database)[-1] == ("hold_ended", reply_id("t-1"), "ana")


def logged(database: Database) -> list[tuple[str, str, str]]:
    """Returns what the audit log says, in order: what, about what, and who."""
    return [(link.kind, link.about, link.actor) for link in Chain(database).entries()]
