"""The addresses of API servers: each client looks its own names up, in threads of their own.

aiohttp's own resolver shares the default threads of the event loop with all tasks that write a file or sort
a list: a few members whose names get no answer would hold up all these tasks.
"""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from controlplane.system.lookups import Lookups


class NameResolver(AbstractResolver):
    def __init__(self, lookups: Lookups | None = None) -> None:
        self._lookups = lookups or Lookups()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses in the order of the operating system. Raises OSError."""
        found = await self._lookups.lookup(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in ((_family(address), address) for address in found)
            if family in (socket.AF_UNSPEC, kind)
        ]

    async def close(self) -> None:
        pass  # threads end with their lookups


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
