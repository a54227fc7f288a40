"""Links to unsubscribe and to choose: the same at every attempt, of a send alone, and nobody else's."""

from datetime import UTC, datetime, timedelta

import pytest

from tellfirst.signing.links import PREFERENCES, UNSUBSCRIBE, Links

SEND = "5e" * 16
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINKS = Links(b"k" * 32, base_url="https://mail.example.org/tf/", lifetime=timedelta(days=60))


def token_of(links: Links = LINKS, send: str = SEND) -> str:
    return links.unsubscribe(send, NOON).rpartition(UNSUBSCRIBE)[2]


def test_a_link_says_its_send_and_how_long_it_is_good() -> None:
    link = LINKS.read(token_of())
    assert link is not None
    assert (link.send, link.until) == (SEND, NOON + timedelta(days=60))


def test_both_pages_have_their_address_and_every_attempt_the_same() -> None:
    assert LINKS.unsubscribe(SEND, NOON) == LINKS.unsubscribe(SEND, NOON)
    assert LINKS.unsubscribe(SEND, NOON).startswith("https://mail.example.org/tf" + UNSUBSCRIBE)
    assert LINKS.preferences(SEND, NOON).startswith("https://mail.example.org/tf" + PREFERENCES)
    assert len(LINKS.preferences(SEND, NOON)) < 160


def test_without_a_web_address_there_are_none() -> None:
    nowhere = Links(b"k" * 32, base_url="", lifetime=timedelta(days=60))
    assert (nowhere.unsubscribe(SEND, NOON), nowhere.preferences(SEND, NOON)) == ("", "")


def test_no_change_of_a_link_is_ours() -> None:
    token = token_of()
    for place in range(len(token) - 1):  # of the last character a part is padding
        other = "A" if token[place] != "A" else "B"
        assert LINKS.read(token[:place] + other + token[place + 1 :]) is None


@pytest.mark.parametrize("token", ["", ".", "-", "é", "a" * 5_000, f"{SEND}-1772366400", f"{SEND}-1772366400."])
def test_whatever_anybody_writes_is_nobodys(token: str) -> None:
    assert LINKS.read(token) is None


def test_another_key_reads_nothing() -> None:
    assert Links(b"o" * 32, base_url="", lifetime=timedelta(days=60)).read(token_of()) is None
