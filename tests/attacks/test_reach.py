"""Where webhooks may lead: no address in disguise, no name that leads inside, no second answer, no redirect."""

import base64
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
import pytest_asyncio

from tellfirst.channels.reach import Reach, is_public
from tellfirst.channels.webhook import INSIDE, Webhook
from tellfirst.errors import SettingsError
from tests.channels.test_webhook import Receiver, receiving

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
DISGUISED = [
    "2130706433", "017700000001", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.1.", "hooks.example.", "0",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[::]",
    "0.0.0.0", "169.254.169.254", "[fe80::1]", "224.0.0.1", "[ff02::1]", "1.2.3.4.5", "256.1.1.1", "user@host.example",
    "127。0。0。1", "①②⑦.0.0.1", "a..b", "", "host%00.example", "host.example\\@inside",
]  # fmt: skip
INSIDE_ADDRESSES = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "::ffff:10.0.0.1", "::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:a9fe:a9fe::", "2001:0:53aa:64c::1",
]  # fmt: skip


class Names:
    """Answers for every name with one answer after the other; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Receiver()) as made:
        yield made


async def delivered(url: str, reach: Reach) -> str:
    hook = Webhook(url, SECRET, timeout=2.0, reach=reach)
    detail = (await hook.deliver("r-1", b"{}", now=NOON)).detail
    await hook.close()
    return detail


@pytest.mark.parametrize("host", DISGUISED)
def test_an_address_in_disguise_is_refused_when_it_is_configured(host: str) -> None:
    with pytest.raises(SettingsError, match=r"^events.toml: "):
        Webhook(f"http://{host}/grants", SECRET, where="events.toml")


@pytest.mark.parametrize(
    "host", ["hooks.example", "a-b.c1.example", "localhost", "127.0.0.1", "10.0.0.7", "8.8.8.8", "[::1]", "bücher.de"]
)
def test_a_plain_one_is_taken(host: str) -> None:
    Webhook(f"https://{host}:8443/grants?x=1", SECRET)


@pytest.mark.parametrize("address", INSIDE_ADDRESSES)
async def test_a_name_that_leads_inside_is_not_called(address: str) -> None:
    assert await delivered("http://hooks.example/grants", Reach(look_up=Names([address]))) == INSIDE
    assert await delivered("http://hooks.example/grants", Reach(look_up=Names(["8.8.8.8", address]))) == INSIDE


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


async def test_a_host_that_is_listed_is_called_inside_but_never_where_nobody_lives(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "desk.corp.example")
    assert await delivered(url, Reach(look_up=Names(["127.0.0.1"]))) == INSIDE
    assert receiver.seen == []
    assert await delivered(url, Reach(["Desk.corp.example"], Names(["127.0.0.1"]))) == "204"
    assert receiver.seen[0][0]["host"] == url.split("/")[2]
    assert await delivered(url, Reach(["desk.corp.example"], Names(["169.254.169.254"]))) == INSIDE
    assert await delivered(url, Reach(["corp.example"], Names(["127.0.0.1"]))) == INSIDE


async def test_what_was_judged_is_what_is_called(receiver: Receiver) -> None:
    # The second answer leads where nobody listens: a second look-up by whoever connects would end there.
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    url = receiver.url.replace("127.0.0.1", "desk.corp.example")
    assert await delivered(url, Reach(["desk.corp.example"], names)) == "204"
    assert names.asked == 1


async def test_a_name_that_turns_inside_between_two_attempts_is_not_called_again(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    url = receiver.url.replace("127.0.0.1", "desk.corp.example")
    hook = Webhook(url, SECRET, reach=Reach(["desk.corp.example"], names))
    assert [(await hook.deliver("r", b"{}", now=NOON)).detail for _ in range(2)] == ["204", INSIDE]
    await hook.close()
    assert len(receiver.seen) == 1


async def test_a_name_that_leads_nowhere_is_said() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError

    assert await delivered("http://hooks.example/", Reach(look_up=nowhere)) == "OSError"
