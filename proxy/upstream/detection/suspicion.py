"""Whether the machine of an endpoint is gone: asked by a connect, which a living kernel answers at once."""

from collections.abc import Callable
from typing import Final, Protocol

from proxy.upstream.connections.stream import UpstreamStream
from proxy.upstream.dialing.connector import Connector
from proxy.upstream.dialing.delay import Delay
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.failure import Failure

_REMEMBERED_S: Final = 0.5


class Suspect(Protocol):
    """A request whose endpoint acknowledges nothing."""

    def on_machine_gone(self, endpoint: LiveEndpoint) -> None: ...


class Suspicion:
    """Asks the machine of an endpoint for a sign of life, once for all requests that suspect it."""

    __slots__ = ("_connector", "_delay", "_endpoint", "_forget", "_is_gone", "_is_over", "_suspects")

    def __init__(self, connector: Connector, endpoint: LiveEndpoint, forget: Callable[[], None]) -> None:
        """`forget` is called when the answer is too old to be of use."""
        self._connector = connector
        self._endpoint = endpoint
        self._forget = forget
        self._suspects: list[Suspect] = []
        self._is_gone = False
        self._is_over = False
        self._delay = Delay(connector.later, connector.clock)

    def start(self) -> None:
        self._delay.start(self._endpoint.limits.times.hedge_s, self._on_delay)
        self._connector.connect(self._endpoint, self)

    def add(self, suspect: Suspect) -> None:
        """Tell `suspect` when the machine is gone, or now if that is known."""
        if self._is_gone:
            suspect.on_machine_gone(self._endpoint)
        elif not self._is_over:
            self._suspects.append(suspect)

    def on_connected(self, stream: UpstreamStream) -> None:
        self._connector.keep(stream)
        self._end(is_gone=False)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self._end(is_gone=failure is not Failure.LOCAL)

    def _on_delay(self) -> None:
        self._end(is_gone=True)

    def _end(self, *, is_gone: bool) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._is_gone = is_gone
        self._delay.stop()
        suspects, self._suspects = self._suspects, []
        if is_gone:
            for suspect in suspects:
                suspect.on_machine_gone(self._endpoint)
        self._connector.later(_REMEMBERED_S, self._forget)
