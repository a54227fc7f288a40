import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tellfirst.channels.outbox import Outbox, OutboxMessage, read_outbox
from tellfirst.domain.message import AnswerKind, Rendered
from tellfirst.errors import InputError, RowError, SettingsError
from tests.channels.conftest import outbound

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "a" / "outbox"


async def test_a_message_is_one_readable_file_named_by_its_send_id(directory: Path) -> None:
    message = outbound("s-1", not_after=LATER, rendered=Rendered(subject="Late", body="Grüße, 5 €"))
    (answer,) = await Outbox(directory, "sms").send([message], now=NOW)
    assert (answer.kind, answer.provider_id) == (AnswerKind.ACCEPTED, "outbox-s-1")
    assert [path.name for path in directory.iterdir()] == ["s-1.json"]
    assert json.loads((directory / "s-1.json").read_text()) == {
        "send_id": "s-1",
        "channel": "sms",
        "address": "+15550100001",
        "locale": "en",
        "subject": "Late",
        "body": "Grüße, 5 €",
        "not_after": "2026-11-22T11:00:00Z",
    }


async def test_the_same_send_id_twice_is_one_message_and_the_first_stays(directory: Path) -> None:
    outbox = Outbox(directory, "sms")
    first = await outbox.send([outbound("s-1", not_after=LATER, rendered=Rendered(body="first"))], now=NOW)
    # Repeated after its time is over, it still was sent.
    again = await outbox.send([outbound("s-1", not_after=LATER, rendered=Rendered(body="again"))], now=LATER)
    assert first == again
    assert [message.body for message in read_outbox(directory)] == ["first"]


@pytest.mark.parametrize(
    "send_id", ["../s-1", "/tmp/s-1", "a/b", "", ".", "..", "S-1", "s.1", "s-1\n", "-s", "é", "a" * 129]
)
async def test_a_send_id_that_could_leave_the_directory_is_refused(directory: Path, send_id: str) -> None:
    outbox = Outbox(directory, "sms")
    with pytest.raises(InputError):
        await outbox.send([outbound("s-0", not_after=LATER), outbound(send_id, not_after=LATER)], now=NOW)
    with pytest.raises(InputError):
        await outbox.look_up(outbound(send_id), NOW)
    assert [path.name for path in directory.parent.rglob("*")] == ["outbox"]


async def test_a_message_of_another_channel_is_refused(directory: Path) -> None:
    with pytest.raises(InputError, match="email"):
        await Outbox(directory, "email").send([outbound(not_after=LATER)], now=NOW)


async def test_the_links_of_a_message_can_be_tried_from_its_file(directory: Path) -> None:
    links = {"unsubscribe_url": "http://127.0.0.1:8090/u/x", "preferences_url": "http://127.0.0.1:8090/p/x"}
    await Outbox(directory, "sms").send([outbound("s-1", not_after=LATER, **links)], now=NOW)
    (kept,) = read_outbox(directory)
    assert {name: getattr(kept, name) for name in links} == links


async def test_a_message_past_its_time_is_not_written(directory: Path) -> None:
    (answer,) = await Outbox(directory, "sms").send([outbound(not_after=NOW)], now=NOW)
    assert (answer.kind, answer.detail) == (AnswerKind.NOT_SENT, "too_late")
    assert list(read_outbox(directory)) == []


async def test_a_disk_that_refuses_is_not_sent(directory: Path) -> None:
    outbox = Outbox(directory, "sms")
    directory.rmdir()
    (answer,) = await outbox.send([outbound(not_after=LATER)], now=NOW)
    assert (answer.kind, answer.detail) == (AnswerKind.NOT_SENT, "FileNotFoundError")


async def test_a_file_that_cannot_be_synced_is_not_sent_and_leaves_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", _no_space)
    (answer,) = await Outbox(directory, "sms").send([outbound(not_after=LATER)], now=NOW)
    assert (answer.kind, answer.detail) == (AnswerKind.NOT_SENT, "OSError")
    assert list(directory.iterdir()) == []


async def test_a_directory_that_cannot_be_synced_leaves_doubt_that_a_look_up_ends(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(directory, "sms")
    with monkeypatch.context() as patched:
        patched.setattr("tellfirst.channels.outbox._sync", _no_space)
        (answer,) = await outbox.send([outbound(not_after=LATER)], now=NOW)
    assert (answer.kind, answer.detail) == (AnswerKind.AMBIGUOUS, "OSError")
    assert await outbox.look_up(outbound(), NOW) is not None


def _no_space(_: object) -> None:
    raise OSError(28, "No space left on device")


async def test_only_the_owner_may_look(directory: Path) -> None:
    await Outbox(directory, "sms").send([outbound(not_after=LATER)], now=NOW)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_a_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    with pytest.raises(SettingsError, match="0700"):
        Outbox(shared, "sms")


async def test_look_up_finds_what_was_written_and_only_that(directory: Path) -> None:
    outbox = Outbox(directory, "sms")
    (answer,) = await outbox.send([outbound("s-1", not_after=LATER)], now=NOW)
    assert await outbox.look_up(outbound("s-1"), NOW) == answer
    assert await outbox.look_up(outbound("s-2"), NOW) is None


async def test_channels_share_a_directory_and_are_read_back_in_order(directory: Path) -> None:
    await Outbox(directory, "sms").send([outbound(f"s-{n}", not_after=LATER) for n in (3, 1)], now=NOW)
    await Outbox(directory, "email").send([outbound("s-2", not_after=LATER, channel="email")], now=NOW)
    assert [(message.send_id, message.channel) for message in read_outbox(directory)] == [
        ("s-1", "sms"),
        ("s-2", "email"),
        ("s-3", "sms"),
    ]


def test_a_missing_directory_is_an_empty_outbox(directory: Path) -> None:
    assert list(read_outbox(directory)) == []


@pytest.mark.parametrize("name", ["s-1.json", "s-9.json"])
def test_a_file_that_is_not_ours_is_named(directory: Path, name: str) -> None:
    Outbox(directory, "sms")
    ours = OutboxMessage(
        send_id="s-1", channel="sms", address="+1", locale="en", subject="", body="b", not_after=LATER
    ).model_dump_json()
    (directory / name).write_text("{}" if name == "s-1.json" else ours)
    with pytest.raises(RowError, match=name):
        list(read_outbox(directory))
