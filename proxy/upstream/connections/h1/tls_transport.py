"""TLS under a connection to an endpoint: for the connection it is the transport.

OpenSSL works on memory, as under connections of clients. The connection hears of its transport once the
handshake is over: so a connect includes the handshake, and everything that waits for connects waits for it.
"""

import asyncio
import ssl
from typing import Any, Final, Protocol, cast

from proxy.backlog import Backlog
from proxy.upstream.connections.h1.long_body import LongBodyReader
from proxy.upstream.connections.h1.tls_failures import handshake_failure, is_refusal
from proxy.upstream.evidence.failure import Failure

_HANDSHAKE_BYTES: Final = 1 << 17
"""Size of a body that takes as long to send as a step of a handshake takes to compute."""
_MOST_UNREAD_BYTES: Final = 1 << 18
"""Most bytes of our answers to TLS itself that an endpoint may leave unread: key updates without end."""
_RECORD_BYTES: Final = 1 << 14  # the most plaintext of a record (RFC 8446 §5.1)

_SHAKING, _OPEN, _ENDED = range(3)
"""States: the handshake goes on; application data flows; our side has ended, and nothing is delivered."""

_NONE, _TOLD, _BROKEN, _REFUSED = range(4)
"""Ends of TLS: none; close_notify; an alert, or bytes that are no TLS; an alert about our certificate."""


class SecuredConnection(Protocol):
    """A connection to an endpoint over TLS; an asyncio.Protocol by its methods."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> bool | None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def on_refused(self) -> None:
        """The endpoint has refused our certificate, after a handshake that was complete on our side."""


class EndpointTransport:
    """An asyncio.Transport and an asyncio.BufferedProtocol, both by their methods."""

    __slots__ = (
        "_backlog", "_connection", "_endpoint", "_is_held", "_is_made", "_is_paused", "_loop", "_offered",
        "_read", "_reader", "_shaken", "_state", "_tls", "_waits", "_written", "sent", "transport",
        "was_refused",
    )  # fmt: skip

    def __init__(
        self, tls: ssl.SSLObject, read: ssl.MemoryBIO, written: ssl.MemoryBIO, connection: SecuredConnection,
        endpoint: object, loop: asyncio.AbstractEventLoop, backlog: Backlog,
    ) -> None:  # fmt: skip
        """`tls` reads from `read` and writes to `written`; handshakes of an `endpoint` take turns."""
        self.transport = cast(asyncio.Transport, None)  # the TCP connection's
        # Both None once the TCP connection is lost: the garbage collector would come late for the circles
        self._tls: ssl.SSLObject | None = tls
        self._connection: SecuredConnection | None = connection
        self._read = read
        self._written = written
        self._endpoint = endpoint
        self._loop = loop
        self._backlog = backlog
        self._shaken: asyncio.Future[Failure | None] = loop.create_future()
        self._state = _SHAKING
        self._waits = False  # a step of the handshake waits for its turn
        self._is_held = False  # not read from, until that turn comes
        self._is_made = False  # the connection knows its transport
        self._is_paused = False  # by the connection
        self._reader: LongBodyReader | None = None  # reads instead of the connection
        self._offered: memoryview | None = None  # its buffer, until something is in it
        self.sent = 0  # bytes of TCP that were written
        self.was_refused = False  # with our certificate, or for want of one

    async def shaken(self) -> Failure | None:
        """Return, once the handshake is over, why it failed, if it did."""
        return await self._shaken

    # The TCP connection's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._shake()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Read little where a turn of the loop is over, as a CarefulReader does."""
        backlog = self._backlog
        return backlog.few if backlog.left < 0 and backlog.is_over() else backlog.many

    def buffer_updated(self, size: int) -> None:
        self._read.write(self._backlog.many[:size])
        self._received()

    def data_received(self, data: bytes) -> None:
        """Called by event loops that know buffered protocols by their base class: asyncio's own."""
        self._read.write(data)
        self._received()

    def eof_received(self) -> bool | None:
        """End what comes without close_notify as a lost connection: somebody may have cut the answer.

        A body that the end of its connection delimits would else count as whole (RFC 9112 §9.8).
        """
        if self._state == _SHAKING:
            self._fail(Failure.TLS_HANDSHAKE)
            return None
        self._decrypt()
        if self._state == _OPEN:
            self.transport.abort()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._state == _SHAKING:
            self._settle(Failure.TLS_HANDSHAKE)
        else:
            self._decrypt()  # bytes from before the end
        self._state = _ENDED
        self._tls = None
        self._reader = self._offered = None
        connection, self._connection = self._connection, None
        if connection is not None and self._is_made:
            connection.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._connection is not None and self._is_made:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        if self._connection is not None and self._is_made:
            self._connection.resume_writing()

    def _received(self) -> None:
        if self._state == _SHAKING:
            self._shake_soon()
        else:
            self._decrypt()

    # The handshake

    def _shake_soon(self) -> None:
        """Go on with the handshake, in a later turn where this one is over: each takes half a ms."""
        if not self._waits:
            self._waits = True
            self._backlog.do(self._shake, self._endpoint, _HANDSHAKE_BYTES)
            if self._waits and not self.transport.is_closing():
                self.transport.pause_reading()
                self._is_held = True

    def _shake(self) -> None:
        self._waits = False
        tls, connection = self._tls, self._connection
        if tls is None or connection is None or self._state != _SHAKING or self.transport.is_closing():
            return
        if self._is_held:
            self._is_held = False
            self.transport.resume_reading()
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # the alert
            self._fail(handshake_failure(error))
            return
        self._flush()
        self._state = _OPEN
        self._is_made = True
        connection.connection_made(cast(asyncio.BaseTransport, self))
        self._settle(None)
        self._decrypt()

    def _fail(self, failure: Failure) -> None:
        self._state = _ENDED
        self._settle(failure)
        self.transport.close()

    def _settle(self, failure: Failure | None) -> None:
        if not self._shaken.done():
            self._shaken.set_result(failure)

    # Application data

    def _decrypt(self) -> None:
        """Deliver what has come: as one piece, as a read from a socket would bring it, or into buffers."""
        tls = self._tls
        if tls is None:
            return
        more = True
        while more and self._state == _OPEN and not self._is_paused:
            reader = self._reader
            more = self._fill(tls, reader) if reader is not None else self._deliver(tls)

    def _deliver(self, tls: ssl.SSLObject) -> bool:
        """Deliver everything to the connection; return False."""
        pieces: list[bytes] = []
        end = _NONE
        try:
            while True:
                piece = tls.read(_RECORD_BYTES)
                if not piece:
                    end = _TOLD
                    break
                pieces.append(piece)
                if not self._read.pending:
                    break
        except ssl.SSLWantReadError:
            pass  # an incomplete record, or one that is not the application's
        except ssl.SSLError as error:
            end = _REFUSED if is_refusal(error) else _BROKEN
        if pieces and self._connection is not None:
            self._connection.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        self._follow(end, is_idle=not pieces)
        return False

    def _fill(self, tls: ssl.SSLObject, reader: LongBodyReader) -> bool:
        """Fill the buffer of the reader of a long body; return whether there is more to deliver."""
        buffer = self._offered
        if buffer is None:
            buffer = self._offered = reader.get_buffer(-1)
        filling = cast(Any, tls)  # which returns a number then; compiled code would insist on bytes
        room, size = len(buffer), 0
        end, waits = _NONE, False
        try:
            while size < room and not waits:
                count = filling.read(room - size, buffer[size:])
                if not count:
                    end = _TOLD
                    break
                size += cast(int, count)
                waits = not (self._read.pending or tls.pending())
        except ssl.SSLWantReadError:
            waits = True
        except ssl.SSLError as error:
            end = _REFUSED if is_refusal(error) else _BROKEN
        if size:
            self._offered = None
            reader.buffer_updated(size)
        self._follow(end, is_idle=not size)
        return not waits

    def _follow(self, end: int, *, is_idle: bool) -> None:
        """Answer what TLS itself has to be answered, and end as it did; `is_idle`: nothing else has come."""
        if self._state != _OPEN:
            return
        self._flush()
        if end == _TOLD:
            if self._connection is not None:
                self._connection.eof_received()
            self.close()
        elif end != _NONE:
            self.was_refused = end == _REFUSED
            if self.was_refused and self._connection is not None:
                self._connection.on_refused()
            self.abort()
        elif is_idle and self.transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
            self.abort()

    def _flush(self) -> None:
        if self._written.pending:
            data = self._written.read()
            self.sent += len(data)
            self.transport.write(data)

    # The connection's side

    def write(self, data: "bytes | bytearray | memoryview[int]") -> None:
        tls = self._tls
        if tls is not None and self._state == _OPEN and len(data):
            try:
                tls.write(data)
            except ssl.SSLError:
                self.abort()  # OpenSSL has ended this connection with the alert that it has read
                return
            self._flush()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Say that nothing more comes, by TLS and by TCP; what the endpoint sends still is delivered."""
        self._say_end()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def close(self) -> None:
        self._say_end()
        self._state = _ENDED
        self.transport.close()

    def abort(self) -> None:
        self._state = _ENDED
        if self.transport is not None:
            self.transport.abort()

    def _say_end(self) -> None:
        """Write close_notify: without it, an endpoint could take a request that was cut for a whole one."""
        tls = self._tls
        if tls is not None and self._state == _OPEN and not self.transport.is_closing():
            try:
                tls.unwrap()
            except ssl.SSLError:
                pass  # it waits for the close_notify of the endpoint, or finds data; ours is written
            self._flush()

    def is_closing(self) -> bool:
        return self._state == _ENDED or self.transport.is_closing()

    def pause_reading(self) -> None:
        self._is_paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self._is_paused = False
        self.transport.resume_reading()
        tls = self._tls
        if tls is not None and (self._read.pending or tls.pending()):
            self._loop.call_soon(self._decrypt)

    def set_write_buffer_limits(self, high: int) -> None:
        self.transport.set_write_buffer_limits(high)

    def get_write_buffer_size(self) -> int:
        return self.transport.get_write_buffer_size()

    def get_extra_info(self, name: str) -> Any:
        return self.transport.get_extra_info(name)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Deliver to the reader of a long body, or to the connection: its own care is not needed here."""
        self._offered = None
        self._reader = protocol if isinstance(protocol, LongBodyReader) else None
