"""Refuses, while a monitor is being saved, addresses that a probe would never go to. What a name leads to is looked at
again by every probe; this only says early what will never work."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import httpx

from activities.probes.monitor import ApiMonitor, Monitor, OAuth2Monitor, OidcMonitor, SamlMonitor, WebhookMonitor
from starter.api.problems import Problem

_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def refuse_private(monitor: Monitor) -> None:
    """Raises Problem (422) at the first address that is not public."""
    for field, url in _urls(monitor):
        if (host := _host(url)) is None:
            raise Problem.at(f"monitor.{field}", "this is no address that we can call")
        if not _is_public(host):
            raise Problem.at(f"monitor.{field}", "only public addresses are checked; this one is not public")


def _urls(monitor: Monitor) -> Iterator[tuple[str, str]]:
    match monitor:
        case OAuth2Monitor():
            yield "token_url", monitor.token_url
            if monitor.introspection_url:
                yield "introspection_url", monitor.introspection_url
        case ApiMonitor():
            for i, endpoint in enumerate(monitor.endpoints):
                yield f"endpoints[{i}].url", endpoint.url
        case WebhookMonitor():
            if monitor.test_url:
                yield "test_url", monitor.test_url
        case SamlMonitor():
            yield "metadata_url", monitor.metadata_url
        case OidcMonitor():
            yield "issuer", monitor.issuer


def _host(url: str) -> str | None:
    try:
        return httpx.URL(url).raw_host.decode("ascii").rstrip(".").lower() or None
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return None


def _is_public(host: str) -> bool:
    literal = _literal(host)
    if literal is None:
        return not any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES)
    if isinstance(literal, ipaddress.IPv6Address):
        inner = literal.ipv4_mapped or literal.sixtofour or (literal.teredo or (None, None))[1]
        if literal in _NAT64:
            inner = ipaddress.IPv4Address(int(literal) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return literal.is_global and not literal.is_multicast


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address however it is spelt: 127.1, 0x7f000001, 2130706433, [::ffff:7f00:1]."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
