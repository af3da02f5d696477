"""Whether an endpoint that reset a connection is dead: then nobody has read the request.

Linux resets instead of closing when a process ends with data in a receive queue, that is, with a
request it has not read. A program that lives can reset as well, having read everything. What tells
them apart is whether anybody still listens. The kernel may close the listening socket of a dying
process last, so somebody who answers is asked again a moment later.
"""

from collections.abc import Callable
from typing import Final

from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.connector import Connector
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.retry import Failure

AGAIN_AFTER_S: Final = 0.005


class Autopsy:
    """Calls `verdict` once: REFUSED if nobody listens there any more, ABORTED otherwise."""

    __slots__ = ("_connector", "_endpoint", "_is_second", "_verdict")

    def __init__(
        self, connector: Connector, endpoint: LiveEndpoint, verdict: Callable[[Failure], None]
    ) -> None:
        self._connector = connector
        self._endpoint = endpoint
        self._verdict = verdict
        self._is_second = False

    def start(self) -> None:
        self._connector.connect(self._endpoint, self)

    def on_connected(self, connection: UpstreamConnection) -> None:
        connection.endpoint.release(connection)
        if self._is_second:
            self._verdict(Failure.ABORTED)
        else:
            self._is_second = True
            self._connector.later(AGAIN_AFTER_S, self.start)

    def on_connect_failed(self, endpoint: LiveEndpoint, failure: Failure) -> None:
        self._verdict(Failure.REFUSED if failure is Failure.REFUSED else Failure.ABORTED)
