"""A connection to an endpoint over TLS."""

import asyncio
from typing import cast

from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.connections.h1.tls_transport import EndpointTransport
from proxy.upstream.connections.sink import ResponseSink
from proxy.upstream.evidence.failure import Failure


class TlsConnection(UpstreamConnection):
    """Differs in what proves that a request was not delivered: TCP counts encrypted bytes."""

    __slots__ = ("_secured",)

    _secured: EndpointTransport | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._secured = cast(EndpointTransport, transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._secured = None

    def send(
        self, exchange: ResponseSink, head: bytes, deadline: float, body: bytes = b"", *,
        in_chunks: bool = False, is_complete: bool = True,
    ) -> None:  # fmt: skip
        before = self._secured.sent if self._secured is not None else 0
        super().send(exchange, head, deadline, body, in_chunks=in_chunks, is_complete=is_complete)
        self._before = before

    def on_refused(self) -> None:
        """End the attempt, if it is the first: no endpoint reads a request before it trusts the client.

        TLS 1.3 lets the endpoint refuse a client's certificate after the handshake (RFC 8446 §4.4.2.4). A
        later refusal proves nothing, and is a lost connection.
        """
        exchange = self.exchange
        if exchange is None or self.served or not self.is_waiting() or self._buffer or self._rest:
            return
        self.exchange = None
        exchange.on_upstream_lost(Failure.TLS_CERTIFICATE)
