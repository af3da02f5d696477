"""Protection against DNS rebinding: a page in the operator's browser must not read the admin API.

A rebound name resolves to this machine but is still a foreign name in the Host header. An IP literal
cannot be rebound.
"""

from collections.abc import Iterable
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from controlplane.admin.problems import problem

MISDIRECTED = 421


class HostCheck:
    """ASGI middleware: lets requests pass whose Host is an IP address or a known name."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names) | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or not self._is_known(hosts[0]):
                answer = problem(
                    MISDIRECTED,
                    "unknown host name",
                    "use an IP address or localhost, or allow the name with --admin-name",
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        name = host_name(host)
        if name.lower() in self._names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def host_name(host: str) -> str:
    """Return a Host header or HOST:PORT argument without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
