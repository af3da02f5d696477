"""The ejections that this worker has decided on, for the other workers of the gateway."""

from collections.abc import Callable

from proxy.model.channel import Ejection


class SharedEjections:
    """Ejections that no other worker knows of yet. Each worker finds out itself when an endpoint is back."""

    __slots__ = ("_news", "on_news")

    def __init__(self) -> None:
        self._news: list[Ejection] = []
        self.on_news: Callable[[], None] | None = None  # called when `take` has news; None: not taken

    def note(self, ejection: Ejection) -> None:
        """Note the ejection of an endpoint by this worker, by its own evidence."""
        if self.on_news is not None:
            self._news.append(ejection)
            self.on_news()

    def take(self) -> tuple[Ejection, ...]:
        news, self._news = self._news, []
        return tuple(news)
