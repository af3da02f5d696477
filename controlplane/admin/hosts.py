"""Protection against DNS rebinding: a page in the operator's browser must not read the admin API.

A rebound name resolves to this machine but is still a foreign name in the Host field. An IP literal
cannot be rebound. A Host that is exactly neither an allowed name nor an IP literal is refused: where two
readers understand a field differently, an attacker can deceive one of them.
"""

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from controlplane.admin.problems import problem

MISDIRECTED = 421

_MOST_PORT: Final = 65535
_AUTHORITY: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[0-9A-Za-z._-]{1,253}))(?::(?P<port>[0-9]{1,5}))?"
)
"""uri-host [":" port] (RFC 9110 section 7.2): without user, percent-encoding, zone or empty port."""


class HostCheck:
    """ASGI middleware: lets requests pass whose Host is an IP address or a known name."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names) | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not is_known(hosts[0], self._names):
                answer = problem(
                    MISDIRECTED,
                    "unknown host name",
                    "use an IP address or localhost, or allow the name with --admin-name",
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_known(host: str, names: frozenset[str]) -> bool:
    """Say whether a Host field is an IP address or one of the names (lower case), with or without a port."""
    match = _AUTHORITY.fullmatch(host)
    if match is None or int(match["port"] or 0) > _MOST_PORT:
        return False
    try:
        if match["v6"] is not None:
            IPv6Address(match["v6"])
        elif match["name"].lower() not in names:
            IPv4Address(match["name"])
    except AddressValueError:
        return False
    return True


def host_name(host: str) -> str:
    """Return a HOST:PORT argument without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
