"""TLS under a client connection: for the connection it is the transport, for the transport the connection.

OpenSSL works on memory. asyncio's own TLS does so, too, but takes 1.5 times as long, and decides on the
context before the name of the host is known.
"""

import asyncio
import ssl
from typing import Any, Final, cast

from proxy.careful import CarefulReader
from proxy.dataplane import DataPlane
from proxy.downstream.h1.connection import ClientConnection
from proxy.downstream.h2.connection import Http2Connection
from proxy.downstream.state import ListenerState
from proxy.downstream.tls import failures
from proxy.tls.contexts import HTTP2, NamedTls, TlsError
from proxy.tls.hello import INTERNAL_ERROR, UNRECOGNIZED_NAME, HelloError, HelloReader, alert_record
from proxy.tls.identity import ExpiredError, identity_of
from proxy.tls.session import TlsSession

_HANDSHAKE_BYTES: Final = 1 << 17
"""Size of a body that takes as long to send as a handshake takes to compute: the measure of the backlog."""
_MOST_UNREAD_BYTES: Final = 1 << 18
"""Most bytes of a client's answers to TLS itself that it may leave unread: key updates without end."""
_READ_BYTES: Final = 1 << 16

_HELLO, _SHAKING, _OPEN, _ENDED = range(4)
"""States: the hello is incomplete; the handshake goes on; application data flows; our side has ended."""

_ADVICE: Final = b"This port speaks HTTPS: write https:// in the URL.\n"
_NOT_TLS: Final = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_ADVICE), _ADVICE)
)
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class TlsTransport:
    """An asyncio.Transport and an asyncio.Protocol, both by their methods."""

    __slots__ = (
        "_backlog", "_client", "_has_ended", "_hello", "_is_careful", "_is_paused", "_listener", "_plane",
        "_read", "_state", "_tls", "_waits", "_written", "transport",
    )  # fmt: skip

    transport: asyncio.Transport  # the TCP connection's, from `connection_made` on

    def __init__(self, plane: DataPlane, listener: ListenerState) -> None:
        self._plane = plane
        self._backlog = plane.backlog
        self._listener = listener
        # None once it is lost: the two hold each other, and the garbage collector would come late for them
        self._client: ClientConnection | Http2Connection | None = ClientConnection(plane, listener)
        self._state = _HELLO
        self._hello: HelloReader | None = HelloReader()  # None once it is read
        self._read = ssl.MemoryBIO()
        self._written = ssl.MemoryBIO()
        self._tls: NamedTls | None = None  # once the hello has been read
        self._waits = False  # a step of the handshake waits for its turn
        self._has_ended = False  # the client has closed its side
        self._is_paused = False  # not read from, until that turn comes
        self._is_careful = True

    # The TCP connection's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._client is not None:
            self._client.connection_made(cast(asyncio.BaseTransport, self))

    def data_received(self, data: bytes) -> None:
        if self._state == _OPEN:
            self._read.write(data)
            self._decrypt()
        elif self._state == _ENDED:
            self._deliver(data)  # to be thrown away
        elif self._state == _HELLO:
            self._greet(data)
        else:
            self._read.write(data)
            self._shake_soon()

    def on_read(self, size: int) -> None:
        if self._state == _OPEN and self._client is not None:
            self._client.on_read(size)

    def eof_received(self) -> bool | None:
        if self._state != _OPEN or self._client is None:
            return None
        if self._has_ended:
            return True  # told already
        self._has_ended = True
        return self._client.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._state < _OPEN:
            self._fail(failures.ABANDONED)
        self._state = _ENDED
        self._tls = None
        client, self._client = self._client, None
        if client is not None:
            client.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._client is not None:
            self._client.pause_writing()

    def resume_writing(self) -> None:
        if self._client is not None:
            self._client.resume_writing()

    # The handshake

    def _greet(self, data: bytes) -> None:
        """Choose the context by the hello, once it is whole, and begin the handshake."""
        reader = self._hello
        if reader is None:
            return
        try:
            hello = reader.feed(data)
        except HelloError as error:
            if reader.received[0] in _LETTERS:
                self._refuse(failures.PLAINTEXT, _NOT_TLS)
            else:
                self._refuse(failures.HELLO, alert_record(error.alert))
            return
        if hello is None:
            return
        hosts = self._listener.tls
        host = hosts.find(hello.server_name) if hosts is not None else None
        if host is None:
            self._refuse(failures.UNKNOWN_HOST, alert_record(UNRECOGNIZED_NAME))
            return
        try:
            self._tls = self._plane.contexts.wrap(
                host, hello.server_name, self._read, self._written, http2=hosts is not None and hosts.http2
            )
        except TlsError:  # told by the contexts
            self._refuse(failures.CERTIFICATE, alert_record(INTERNAL_ERROR))
            return
        if isinstance(self._client, ClientConnection):
            self._client.session = TlsSession(host, hello.server_name)
        self._read.write(reader.received)
        self._hello = None
        self._state = _SHAKING
        self._shake_soon()

    def _shake_soon(self) -> None:
        """Go on with the handshake, in a later turn where this one is over: each takes a third of a ms."""
        if not self._waits:
            self._waits = True
            self._backlog.do(self._shake, self._listener, _HANDSHAKE_BYTES)
            if self._waits and not self.transport.is_closing():
                self.transport.pause_reading()
                self._is_paused = True

    def _shake(self) -> None:
        self._waits = False
        tls = self._tls
        if tls is None or self.transport.is_closing():
            return
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        try:
            tls.do_handshake()
            identity = identity_of(tls)
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._refuse(failures.of(error), self._written.read())
            return
        except ExpiredError:
            self._refuse(failures.CERTIFICATE_REFUSED, b"")
            return
        self._state = _OPEN
        self._listener.count_handshake(tls.version() or "")
        self._flush()
        if identity and isinstance(self._client, ClientConnection):
            self._client.identify(identity)
        if tls.selected_alpn_protocol() == HTTP2 and isinstance(self._client, ClientConnection):
            self._client = self._client.hand_over()
        if self._read.pending:
            self._decrypt()

    def _refuse(self, cause: str, answer: bytes) -> None:
        """Answer in the clear, and close. The rest of the hello, if any, is read and thrown away."""
        self._fail(cause)
        self._state = _ENDED
        self._hello = None
        self.transport.write(answer)
        if isinstance(self._client, ClientConnection):
            self._client.refuse_handshake()

    def _fail(self, cause: str) -> None:
        self._listener.count_handshake(cause)

    # Application data

    def _decrypt(self) -> None:
        """Deliver all that has come as one piece, as a read from a socket would bring it."""
        tls, read = self._tls, self._read
        if tls is None:
            return
        data = b""
        ended = False
        try:
            data = tls.read(_READ_BYTES)
            ended = not data
            if data and read.pending:
                data, ended = self._decrypt_rest(tls, data)
        except ssl.SSLWantReadError:
            pass  # an incomplete record, or one that is not the application's
        except ssl.SSLError:
            self._flush()  # the alert
            self.transport.abort()
            return
        if self._written.pending:
            self._flush()
            if self.transport.get_write_buffer_size() > _MOST_UNREAD_BYTES and not data:
                self.transport.abort()
                return
        if data:
            self._deliver(data)
        if ended and not self._has_ended:
            self._has_ended = True
            if self._client is None or not self._client.eof_received():
                self.close()

    def _deliver(self, data: bytes) -> None:
        if self._client is not None:
            self._client.data_received(data)

    def _decrypt_rest(self, tls: NamedTls, first: bytes) -> tuple[bytes, bool]:
        pieces = [first]
        try:
            while self._read.pending:
                piece = tls.read(_READ_BYTES)
                if not piece:
                    return b"".join(pieces), True
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        return b"".join(pieces), False

    def _flush(self) -> None:
        if self._written.pending:
            self.transport.write(self._written.read())

    # The connection's side

    def write(self, data: "bytes | bytearray | memoryview[int]") -> None:
        tls = self._tls
        if tls is not None and self._state == _OPEN and len(data):
            tls.write(data)
            self.transport.write(self._written.read())

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Say that nothing more comes, by TLS and by TCP; what the client sends is thrown away then."""
        self._end()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def close(self) -> None:
        self._end()
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def _end(self) -> None:
        """Write close_notify: without it, a client could take a response that was cut for a whole one."""
        tls = self._tls
        if tls is not None and self._state == _OPEN and not self.transport.is_closing():
            try:
                tls.unwrap()
            except ssl.SSLError:
                pass  # it waits for the close_notify of the client, or finds data; ours is written
            self._flush()
        self._state = _ENDED

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()

    def set_write_buffer_limits(self, high: int) -> None:
        self.transport.set_write_buffer_limits(high)

    def get_write_buffer_size(self) -> int:
        return self.transport.get_write_buffer_size()

    def get_extra_info(self, name: str) -> Any:
        return self.transport.get_extra_info(name)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Read with care, where the connection puts a CarefulReader before itself, or without."""
        careful = isinstance(protocol, CarefulReader)
        if careful != self._is_careful:
            self._is_careful = careful
            reader = CarefulReader(self, self._backlog) if careful else self
            self.transport.set_protocol(cast(asyncio.BaseProtocol, reader))
