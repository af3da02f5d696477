"""The ClientHello, which begins every TLS connection: RFC 8446 §4.1.2, RFC 6066 §3.

It is read before OpenSSL is: the name in it chooses the context, and with it the versions, ciphers and the
authorities of clients. A callback of OpenSSL that swaps contexts comes too late: the minimum version and the
demand for a client certificate of the new context have no effect then.
"""

from typing import Final

MAX_BYTES: Final = 32768
"""No client sends more: hellos with keys of post-quantum exchanges are 2 KB."""

UNEXPECTED_MESSAGE: Final = 10
DECODE_ERROR: Final = 50
INTERNAL_ERROR: Final = 80
UNRECOGNIZED_NAME: Final = 112

_HANDSHAKE_RECORD: Final = 22
_CLIENT_HELLO: Final = 1
_RECORD_HEADER: Final = 5
_MESSAGE_HEADER: Final = 4
_MAX_RECORD: Final = 16384
_SERVER_NAME: Final = 0  # extension, and the kind of name in it
_MAX_NAME: Final = 255


class HelloError(Exception):
    """The bytes are no ClientHello; `alert` is the description to answer with (RFC 8446 §6)."""

    def __init__(self, alert: int) -> None:
        super().__init__(alert)
        self.alert = alert


class ClientHello:
    """The facts of a ClientHello that choose a context."""

    __slots__ = ("server_name",)

    def __init__(self, server_name: str | None) -> None:
        self.server_name = server_name  # in lower case; None: the client names no host


def alert_record(description: int) -> bytes:
    """Return a fatal alert, in the clear, as it is sent before keys are agreed on."""
    return bytes((21, 3, 3, 0, 2, 2, description))


class HelloReader:
    """Takes the first bytes of a connection, in any pieces: many small ones cost no more than their bytes."""

    __slots__ = ("_at", "_message", "received")

    def __init__(self) -> None:
        self.received = bytearray()  # all bytes, for OpenSSL to read them again
        self._at = 0  # where the next record begins
        self._message = bytearray()  # content of the records so far: a hello may be cut (RFC 8446 §5.1)

    def feed(self, data: bytes) -> ClientHello | None:
        """Take more bytes; return the hello once it is whole. Raises HelloError."""
        received = self.received
        received += data
        size = len(received)
        while True:
            at = self._at
            if at < size and received[at] != _HANDSHAKE_RECORD:
                raise HelloError(UNEXPECTED_MESSAGE)
            if at + 1 < size and received[at + 1] != 3:
                raise HelloError(DECODE_ERROR)
            if at + _RECORD_HEADER > size:
                break
            length = received[at + 3] << 8 | received[at + 4]
            if not 0 < length <= _MAX_RECORD:
                raise HelloError(DECODE_ERROR)
            end = at + _RECORD_HEADER + length
            if end > size:
                break
            self._message += received[at + _RECORD_HEADER : end]
            self._at = end
            hello = self._whole()
            if hello is not None:
                return hello
        if size > MAX_BYTES:
            raise HelloError(DECODE_ERROR)
        return None

    def _whole(self) -> ClientHello | None:
        """Read the first message, which must be a ClientHello; None while it is incomplete."""
        message = self._message
        if len(message) < _MESSAGE_HEADER:
            return None
        if message[0] != _CLIENT_HELLO:
            raise HelloError(UNEXPECTED_MESSAGE)
        end = _MESSAGE_HEADER + (message[1] << 16 | message[2] << 8 | message[3])
        if end > MAX_BYTES:
            raise HelloError(DECODE_ERROR)
        if len(message) < end:
            return None
        return ClientHello(_Reader(bytes(message[_MESSAGE_HEADER:end])).server_name())


class _Reader:
    """Reads the fields of a ClientHello in their order."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def server_name(self) -> str | None:
        self._skip(2 + 32)  # legacy_version, random
        self._skip(self._length(1))  # legacy_session_id
        self._skip(self._length(2))  # cipher_suites
        self._skip(self._length(1))  # legacy_compression_methods
        if self._at == len(self._data):
            return None  # TLS 1.2 knows hellos without extensions
        end = self._length(2) + self._at
        if end != len(self._data):
            raise HelloError(DECODE_ERROR)
        name: str | None = None
        seen = False
        while self._at < end:
            kind, size = self._length(2), self._length(2)
            if kind == _SERVER_NAME:
                if seen:
                    raise HelloError(DECODE_ERROR)
                seen = True
                name = self._name(self._at + size)
            else:
                self._skip(size)
        return name

    def _name(self, end: int) -> str:
        """Read a list of one name, which ends at `end`: OpenSSL takes no longer ones either."""
        size = self._length(2)
        kind = self._length(1)
        length = self._length(2)
        if size != length + 3 or kind != _SERVER_NAME or self._at + length != end:
            raise HelloError(DECODE_ERROR)
        start = self._at
        self._skip(length)
        raw = self._data[start : self._at]
        if not 0 < length <= _MAX_NAME or not raw.isascii() or b"\0" in raw:
            raise HelloError(UNRECOGNIZED_NAME)
        return raw.decode("ascii").lower().removesuffix(".")

    def _length(self, width: int) -> int:
        """Read a number of `width` bytes, most often the length of what follows."""
        start = self._at
        self._skip(width)
        return int.from_bytes(self._data[start : self._at], "big")

    def _skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise HelloError(DECODE_ERROR)
