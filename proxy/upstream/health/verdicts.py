"""The endpoints that this worker has ejected, for the other workers of the gateway."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.model.channel import Ejection

if TYPE_CHECKING:
    from proxy.upstream.endpoint import LiveEndpoint


class Verdicts:
    """Ejections that no other worker has been told of yet. When an endpoint is back each finds out itself."""

    __slots__ = ("_news", "on_news")

    def __init__(self) -> None:
        self._news: list[LiveEndpoint] = []
        self.on_news: Callable[[], None] | None = None  # there is something to `take`; None: nobody would

    def note(self, endpoint: "LiveEndpoint") -> None:
        """The breaker of an endpoint has opened, by what this worker has seen of it."""
        if self.on_news is not None:
            self._news.append(endpoint)
            self.on_news()

    def take(self) -> tuple[Ejection, ...]:
        news, self._news = self._news, []
        return tuple([e.ejection() for e in news])
