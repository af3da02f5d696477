"""What was received of a client and has to wait: for a response, for the client to read, for its turn."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from proxy.dataplane import DataPlane
from proxy.downstream.closing import ClosingClient

if TYPE_CHECKING:
    from proxy.downstream.listener import Listener

HIGH_WATER_BYTES: Final = 65536


class ReceivingClient(ClosingClient):
    """A client connection without its requests: reads when there is room for what comes."""

    __slots__ = ("_backlog", "_checked", "_is_held", "_more", "_more_bytes", "_paused", "is_listed")

    def __init__(self, plane: DataPlane, listener: "Listener") -> None:
        super().__init__(plane, listener)
        self._backlog = plane.backlog
        self.is_listed = False  # in the backlog
        self._checked = 0  # bytes of an incomplete head, at the beginning of `_buffer`
        self._more: list[bytes] = []  # received behind `_buffer`
        self._more_bytes = 0
        self._is_held = False  # not read from, because what was received has to wait
        self._paused = False  # the client does not read

    @abstractmethod
    def data_received(self, data: bytes) -> None: ...

    def get_buffer(self, sizehint: int) -> memoryview:
        """Choose how much is read: event loops that do without call data_received() only."""
        backlog = self._backlog
        return backlog.few if backlog.left < 0 and backlog.is_over() else backlog.many

    def buffer_updated(self, size: int) -> None:
        self.data_received(bytes(self._backlog.many[:size]))

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
