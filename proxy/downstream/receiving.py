"""What was received of a client and has to wait: for a response, for the client to read, for its turn."""

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Final, cast

from proxy.careful import CALM_BYTES, CALM_READS, CarefulReader
from proxy.dataplane import DataPlane
from proxy.downstream.closing import ClosingClient

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener

HIGH_WATER_BYTES: Final = 65536


class ReceivingClient(ClosingClient):
    """A client connection without its requests: reads when there is room for what comes."""

    __slots__ = (
        "_backlog",
        "_calm",
        "_checked",
        "_is_careful",
        "_is_held",
        "_more",
        "_more_bytes",
        "_paused",
        "is_listed",
    )

    def __init__(self, plane: DataPlane, listener: "Listener") -> None:
        super().__init__(plane, listener)
        self._backlog = plane.backlog
        self.is_listed = False  # in the backlog
        self._is_careful = True  # is read from by a CarefulReader
        # Until so many reads in a row have brought little. Two at first: a connection for one request ends as
        # it began
        self._calm = 2
        self._checked = 0  # bytes of an incomplete head, at the beginning of `_buffer`
        self._more: list[bytes] = []  # received behind `_buffer`
        self._more_bytes = 0
        self._is_held = False  # not read from, because what was received has to wait
        self._paused = False  # the client does not read

    @abstractmethod
    def proceed(self) -> int: ...

    @abstractmethod
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    @abstractmethod
    def data_received(self, data: bytes) -> None: ...

    @abstractmethod
    def eof_received(self) -> bool | None: ...

    @abstractmethod
    def connection_lost(self, exc: Exception | None) -> None: ...

    @abstractmethod
    def pause_writing(self) -> None: ...

    @abstractmethod
    def resume_writing(self) -> None: ...

    def _wait_for_turn(self, *, is_new: bool) -> None:
        """Go on with what was received when others have had their turns, and read with care from then on."""
        self._backlog.add(self, is_new=is_new)
        self._read_with_care()

    def _read_with_care(self) -> None:
        if not self._is_careful:
            self._is_careful = True
            self.transport.set_protocol(cast(asyncio.BaseProtocol, CarefulReader(self, self._backlog)))

    def _notice_size(self, size: int) -> None:
        """Read with care who sends so much at once."""
        if size > CALM_BYTES:
            self._calm = CALM_READS
            self._read_with_care()

    def settle(self, size: int) -> None:
        """Read without a buffer again, if little came and nothing was left over."""
        if size > CALM_BYTES:
            self._calm = CALM_READS
        elif not (self.is_listed or self._is_held or self._buffer or self.has_open_body()):
            self._calm -= 1
            if self._calm <= 0 and self._is_careful:
                self._calm = 1
                self._is_careful = False
                self.transport.set_protocol(cast(asyncio.BaseProtocol, self))

    @abstractmethod
    def has_open_body(self) -> bool:
        """Whether more of a request body is to come."""

    def _keep_more(self, data: bytes) -> None:
        """Keep what comes behind what is kept already."""
        if self._buffer:
            self._more.append(data)  # joined later: many small pieces would be copied again and again
            self._more_bytes += len(data)
        else:
            self._buffer = data
        if len(self._buffer) - self._at + self._more_bytes > HIGH_WATER_BYTES:
            self._hold(True)

    def _take_buffer(self) -> bytes:
        """Return what is kept, from `_at` on, and keep nothing."""
        data = self._buffer
        if self._more:
            data = b"".join((data, *self._more))
            self._more.clear()
            self._more_bytes = 0
        self._buffer = b""
        return data

    def _has_waiting(self) -> bool:
        """Whether requests have come that could be started right away."""
        return bool(self._buffer) and not self._checked and not self._paused and self._exchange is None

    def _hold(self, held: bool) -> None:
        if held != self._is_held:
            self._is_held = held
            self._read_or_pause()

    def _read_or_pause(self) -> None:
        if self.transport.is_closing():
            return
        if self._wants_body and not self._is_held:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
