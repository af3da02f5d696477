"""Writes to the Fleet: only while this replica leads, never faster than a limit; outcomes are counted."""

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import msgspec

from controlplane.kube.backoff import RateLimit
from controlplane.kube.client import ApiClient
from controlplane.kube.errors import ApiError, KubeError, Unreachable
from controlplane.kube.lease import LeaderElector

T = TypeVar("T")

CONFLICTS: Final = (404, 409, 422)
"""The object is gone, was changed meanwhile, or is another one of that name."""


class WriteCounters(msgspec.Struct):
    """How writes ended."""

    written: int = 0
    conflict: int = 0
    failed: int = 0

    @property
    def refused(self) -> int:
        return self.conflict + self.failed


C = TypeVar("C", bound=WriteCounters)


class LeaderWriter(Generic[C]):
    """Gates the writes of one kind of report, and remembers how they ended."""

    def __init__(self, client: ApiClient, elector: LeaderElector, limit: RateLimit, counters: C) -> None:
        self.counters = counters
        self.last_error = ""
        self._client = client
        self._elector = elector
        self._limit = limit

    @property
    def leads(self) -> bool:
        return self._elector.is_leader

    async def pass_over(self, write_all: Callable[[], Awaitable[None]]) -> bool:
        """Run one pass of writes as soon as this replica leads.

        Return False when the Fleet became unreachable during the pass, once it answers again.
        """
        await self._elector.leading()
        try:
            await write_all()
        except Unreachable as error:
            self.last_error = str(error)
            await self._client.reconnected()
            return False
        return True

    async def turn(self) -> bool:
        """Wait for the next write that the limit allows; return whether this replica still leads."""
        await self._limit.take()
        return self._elector.is_leader

    async def write(self, send: Awaitable[T]) -> T | None:
        """Return what `send` returns, None when the API server refused it. Raises Unreachable.

        A conflict is no fault: the watch brings the newer object, and the next pass compares with it.
        """
        try:
            written = await send
        except Unreachable:
            self.counters.failed += 1
            raise
        except ApiError as error:
            if error.status in CONFLICTS:
                self.counters.conflict += 1
            else:
                self._fail(error)
            return None
        except KubeError as error:
            self._fail(error)
            return None
        self.counters.written += 1
        self.last_error = ""
        return written

    def _fail(self, error: KubeError) -> None:
        self.counters.failed += 1
        self.last_error = str(error)
