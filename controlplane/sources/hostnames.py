"""Host names of servers to addresses, asked again and again; a failure never loses known addresses."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from controlplane.kube.clock import SYSTEM_CLOCK, Clock
from controlplane.system.lookups import Lookups
from controlplane.translate.model import HostAddresses

log = logging.getLogger(__name__)

REFRESH_S: Final = 30.0
RETRY_S: Final = 5.0
"""While a name has no address at all: doubled each time it is asked for, up to MAX_RETRY_S."""

MAX_RETRY_S: Final = 60.0

MAX_ADDRESSES: Final = 32
Lookup = Callable[[str], Awaitable[tuple[str, ...]]]
"""Return the addresses of a host name. Raises OSError."""


class HostResolver:
    """Keeps the addresses of wanted host names current while `run` runs.

    `on_change` is called when the addresses of a name, or the reason for not having them, change.
    """

    def __init__(
        self, on_change: Callable[[], None], *, lookup: Lookup | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._on_change = on_change
        self._lookups = Lookups()
        self._lookup = lookup or self._lookups.lookup
        self._clock = clock
        self._known: dict[str, HostAddresses] = {}
        self._wanted: frozenset[str] = frozenset()
        self._changed = asyncio.Event()

    def want(self, hosts: frozenset[str]) -> None:
        """Say which names to resolve; the others are forgotten."""
        if hosts != self._wanted:
            for host in self._wanted - hosts:
                self._lookups.forget(host)
            self._wanted = hosts
            self._known = {host: found for host, found in self._known.items() if host in hosts}
            self._changed.set()

    def waits(self) -> bool:
        """Say whether some name has not been answered once, be it with a failure."""
        return len(self._known) < len(self._wanted)

    def known(self) -> Mapping[str, HostAddresses]:
        """Return the known addresses of each name; names that were never answered are missing."""
        return dict(self._known)

    async def run(self) -> None:
        """Resolve until cancelled."""
        following: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                for host in following.keys() - self._wanted:
                    following.pop(host).cancel()
                for host in self._wanted - following.keys():
                    following[host] = group.create_task(self._follow(host), name=f"resolve {host}")
                await self._changed.wait()

    async def _follow(self, host: str) -> None:
        retry_s = RETRY_S
        while True:
            found = await self._resolve(host)
            if found != self._known.get(host):
                self._known[host] = found
                log.info(
                    "host resolved",
                    extra={"host": host, "addresses": found.addresses, "cause": found.problem},
                )
                self._on_change()
            pause = REFRESH_S if found.addresses else retry_s
            retry_s = RETRY_S if found.addresses else min(2 * retry_s, MAX_RETRY_S)
            await self._clock.sleep(pause * (0.8 + 0.4 * self._clock.random()))

    async def _resolve(self, host: str) -> HostAddresses:
        before = self._known.get(host, HostAddresses())
        try:
            addresses = await self._lookup(host)
        except (OSError, UnicodeError) as error:  # a label that IDNA refuses is no OSError
            cause = error.strerror if isinstance(error, OSError) else None
            return HostAddresses(before.addresses, cause or str(error) or type(error).__name__)
        if not addresses:
            return HostAddresses(before.addresses, "the name has no address")
        return HostAddresses(tuple(sorted(set(addresses))[:MAX_ADDRESSES]))
