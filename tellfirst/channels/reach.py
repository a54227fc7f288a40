"""Which addresses a webhook may be posted to: public ones, and those inside that the configuration names."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpx

from tellfirst.errors import SettingsError

Address = IPv4Address | IPv6Address
LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
OF_THIS_MACHINE = "localhost"
GLOBAL_UNICAST = IPv6Network("2000::/3")
TRANSLATED = IPv6Network("64:ff9b::/96")
"""Addresses behind which a translator (RFC 6052) reaches the IPv4 address in their last four bytes."""
_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


class InsideAddressError(Exception):
    """Is a name that leads inside, where nobody has said that it may."""


async def system_look_up(host: str, port: int) -> Sequence[str]:
    """Returns the addresses of a host in the order in which the system would try them; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Reach:
    """Judges hosts when they are configured, and their addresses whenever one is about to be connected to.

    A plain address or `localhost` says itself where it leads. What a name leads to is decided by whoever answers for
    it, anew each time: it leads to public addresses alone, unless `inside` lists it.
    """

    def __init__(self, inside: Collection[str] = (), look_up: LookUp = system_look_up) -> None:
        self._inside, self._look_up = frozenset(name.lower() for name in inside), look_up

    def check(self, url: str, *, where: str) -> httpx.URL:
        """Returns the parsed address of a webhook; raises SettingsError naming `where` for one in disguise."""
        try:
            parsed = httpx.URL(url)
            host = parsed.raw_host.decode().strip("[]").lower()
            # Signs of other scripts become digits and dots as a name is parsed: an address must stand there itself.
            sound = _is_plain(host) and (_literal(host) is None or host in url.lower())
            sound = sound and parsed.scheme in ("http", "https") and not parsed.userinfo
        except (httpx.InvalidURL, ValueError):
            sound = False
        if not sound:
            raise SettingsError(
                "the address of a webhook is not one",
                where=where,
                remedy="give a full https:// address: a name, or an IP address in its usual form",
            )
        return parsed

    async def addresses(self, url: httpx.URL) -> Sequence[str]:
        """Returns what may be connected to now; raises InsideAddressError, or OSError for a name that leads nowhere."""
        host = url.raw_host.decode().strip("[]").lower()
        if _literal(host) is not None:
            return [host]
        found = await self._look_up(host, url.port or (443 if url.scheme == "https" else 80))
        named = host == OF_THIS_MACHINE or host in self._inside
        for address in found:
            judged = ip_address(address.partition("%")[0])
            if not (is_public(judged) or (named and not _is_nobodys(judged))):
                raise InsideAddressError
        return found


def is_public(address: Address) -> bool:
    """Returns whether an address is one of the open internet, whatever it is wrapped in."""
    if isinstance(address, IPv6Address):
        within = address.ipv4_mapped or address.sixtofour
        if address in TRANSLATED:
            within = IPv4Address(int(address) & 0xFFFFFFFF)
        if within is None:
            return address in GLOBAL_UNICAST and address.is_global
        address = within
    return address.is_global and not address.is_multicast


def _is_nobodys(address: Address) -> bool:
    # Where clouds hand out the credentials of a machine, among others: no receiver lives there.
    return address.is_link_local or address.is_multicast or address.is_unspecified


def _is_plain(host: str) -> bool:
    address = _literal(host)
    if address is None:
        return _NAME.fullmatch(host) is not None  # a last label of digits (2130706433, 0x7f.1) is read as an address
    wrapped = isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST and not address.is_private
    mapped = isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour)
    return not (wrapped or mapped or _is_nobodys(address))


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
