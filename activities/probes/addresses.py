"""Which addresses a probe may go to: those of the public internet, in whatever spelling they come.

Not public: private, shared (CGNAT), loopback, link-local, multicast, reserved and documentation ranges; IPv6 forms that
carry such an IPv4 address (mapped, NAT64); and tunnels whose far end nobody can check (6to4, Teredo).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291: nothing else is on the public internet
_REFUSED = (  # beyond what the standard library knows, whose tables also grow with its version
    ipaddress.IPv6Network("2001::/23"),  # RFC 2928: protocol assignments, Teredo among them
    ipaddress.IPv6Network("2002::/16"),  # 6to4
    ipaddress.IPv6Network("3fff::/20"),  # RFC 9637: documentation
    ipaddress.IPv4Network("192.0.0.0/24"),  # RFC 6890: protocol assignments
    ipaddress.IPv4Network("192.88.99.0/24"),  # RFC 7526: 6to4 relays
)
_LOCAL_NAMES = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa")
_MOST_ADDRESSES = 16


class UnaskableError(Exception):
    """We can't ask, which says nothing about the peer. The message says why, without secrets."""


class ForbiddenAddressError(UnaskableError):
    """The address is not public; a probe does not go there."""


class UnresolvedError(OSError):
    """The name has no address, or none at the moment: one look can't tell."""


def is_public(address: str) -> bool:
    """Whether this numeric address is one of the public internet. False for what is not an address at all."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in _GLOBAL_UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _REFUSED)


def refuse_by_name(host: str) -> None:
    """Refuses what can be told without asking anybody: a numeric address in any spelling that the C library takes
    (`2130706433`, `0177.1`, `0x7f.1`), and names that are local by definition. Raises ForbiddenAddressError."""
    name = host.strip("[]").rstrip(".").lower()
    numeric = _numeric(name)
    is_local = any(name == local or name.endswith(f".{local}") for local in _LOCAL_NAMES)
    if not name or is_local or (numeric is not None and not is_public(numeric)):
        raise ForbiddenAddressError(f"{host[:100]} is not a public address")


def _numeric(name: str) -> str | None:
    try:
        return str(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except (OSError, UnicodeError):
        return None


class Resolver:
    """Names to addresses, in threads of its own: a slow name server must not hold up anybody else's lookups."""

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="resolver")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def addresses(self, host: str, port: int) -> list[str]:
        """The numeric addresses of this name, in order of preference, all of them allowed.

        Raises ForbiddenAddressError if a single one is not (a name that also leads inside is a trap), UnresolvedError.
        """
        if not self._allow_private:
            refuse_by_name(host)
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        except (OSError, UnicodeError) as error:
            raise UnresolvedError(f"{host[:100]}: {error}") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._allow_private and not all(map(is_public, addresses)):
            raise ForbiddenAddressError(f"{host[:100]} is not a public address")
        return addresses[:_MOST_ADDRESSES]
