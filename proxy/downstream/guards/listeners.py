"""The listeners of the worker, and their clients, as guards see them."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from proxy.downstream.guards.accept_queue import AcceptQueue


class GuardedClient(Protocol):
    """An open client connection."""

    @property
    def quiet_since(self) -> float:
        """Time when the last request on this connection ended (monotonic); inf while one is under way."""

    def shed(self, cause: str) -> None:
        """Close an idle connection whose place is needed."""


class GuardedListener(Protocol):
    """A listener that may accept."""

    @property
    def accepted(self) -> int:
        """Number of connections accepted so far."""

    @property
    def queue(self) -> AcceptQueue | None:
        """The connections that wait to be accepted, None while none is to be."""

    def take(self, count: int) -> None:
        """Accept up to `count` connections from the queue."""

    def count_shed(self, cause: str) -> None: ...


class GuardedListeners(Protocol):
    """All listeners of the worker."""

    def __iter__(self) -> Iterator[GuardedListener]: ...

    def pause(self, cause: str) -> None:
        """Stop accepting until `resume` is called for the same cause."""

    def resume(self, cause: str) -> None: ...

    def clients(self) -> Iterable[GuardedClient]: ...
