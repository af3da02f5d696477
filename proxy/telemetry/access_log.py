"""The access log: JSON lines, joined in memory and written by a thread, dropped rather than waited for."""

import os
import stat
import threading
from pathlib import Path
from queue import SimpleQueue
from select import PIPE_BUF
from typing import Final

import msgspec

FLUSH_BYTES: Final = 65536
FLUSH_S: Final = 0.1
MAX_WAITING_BYTES: Final = 8 << 20  # then the reader of the log is slower than the traffic: drop


REQUEST: Final = (
    b'{"ts":%d.%03d,"method":"%b","scheme":"http","path":"%b",%b,"protocol":"HTTP/1.%d","status":%d,'
    b'"flag":"%b","dur_ms":%d.%03d,"req_bytes":%d,"resp_bytes":%d,"client":"%b","request_id":"%b",%b,%b,%b,'
    b'"attempts":%d%b,"snapshot":%d}\n'
)
"""One line per request. The query string is left out: it may hold what must not be kept. Members that
never change are joined once: by header block (host, ua), listener, route, endpoint."""

NO_HEADERS: Final = b'"host":"","ua":""'
NO_ROUTE: Final = b'"route":"","ingress":""'
NO_ENDPOINT: Final = b'"service":"","cluster":"","endpoint":""'


def failed_attempts(trace: list[tuple[str, str, str]]) -> bytes:
    """Return the member of the line that lists failed attempts: cluster, endpoint, reason."""
    entries = [{"cluster": c, "endpoint": label, "reason": reason} for c, label, reason in trace]
    return b',"failed":%b' % msgspec.json.encode(entries)


class AccessLog:
    """Collects lines; `flush` hands them to the writer thread. Only the event loop calls it."""

    __slots__ = ("_fd", "_is_pipe", "_lines", "_owns_fd", "_queue", "_size", "_thread", "_waiting", "dropped")

    def __init__(self, target: str) -> None:
        """`target` is a path (appended to) or "-" for standard output. Raises OSError."""
        self._owns_fd = target != "-"
        self._fd = open_log(Path(target)) if self._owns_fd else 1
        self._is_pipe = stat.S_ISFIFO(os.fstat(self._fd).st_mode)
        self._lines: list[bytes] = []
        self._size = 0
        self._waiting = 0
        self.dropped = 0
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="access-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._lines:
            return
        if self._waiting > MAX_WAITING_BYTES:
            self.dropped += len(self._lines)
        else:
            self._waiting += self._size
            self._queue.put(b"".join(self._lines))
        self._lines = []
        self._size = 0

    def expire(self, now: float) -> float:
        """Called by the timer wheel."""
        self.flush()
        return now + FLUSH_S

    def close(self) -> None:
        """Write what is collected and end the thread; gives up after two seconds."""
        self.flush()
        self._queue.put(None)
        self._thread.join(timeout=2.0)
        if self._owns_fd:
            os.close(self._fd)

    def _write_all(self) -> None:
        while (data := self._queue.get()) is not None:
            try:
                for piece in self._pieces(data):
                    _write_fully(self._fd, piece)
            except OSError:
                self.dropped += data.count(b"\n")
            self._waiting -= len(data)

    def _pieces(self, data: bytes) -> list[bytes]:
        # Workers share one pipe: only writes up to PIPE_BUF do not mix with each other
        if not self._is_pipe:
            return [data]
        pieces: list[bytes] = []
        start = 0
        while start < len(data):
            end = data.rfind(b"\n", start, start + PIPE_BUF) + 1 or data.find(b"\n", start) + 1
            pieces.append(data[start:end])
            start = end
        return pieces


def open_log(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _write_fully(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
