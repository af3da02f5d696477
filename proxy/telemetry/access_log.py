"""The access log: JSON lines, collected in memory and written by a thread, dropped rather than waited for.

A line costs more than anything else that is not a system call (measured: 5 of 19 µs per request), so
it is joined from pieces that were made once (by request line, header block, connection, route,
endpoint) and copied into a buffer that is used again: memory touched for the first time costs more
than the copy.
"""

import os
import stat
import threading
from enum import Enum
from pathlib import Path
from queue import SimpleQueue
from select import PIPE_BUF
from time import time
from typing import Final

import msgspec

BUFFER_BYTES: Final = 131072
FLUSH_S: Final = 0.1
MAX_WAITING_BYTES: Final = 8 << 20  # then the reader of the log is slower than the traffic: drop
_MAX_SPARE: Final = 4

NO_RESOURCE: Final = b'"method":"","scheme":"http","path":""'
NO_HEADERS: Final = b'"host":"","ua":""'
NO_ROUTE: Final = b'"route":"","ingress":""'
NO_ENDPOINT: Final = b'"service":"","cluster":"","endpoint":""'

_DECIMAL: Final = [b"%d" % number for number in range(1024)]
_THREE: Final = [b"%03d" % number for number in range(1000)]


def number(value: int) -> bytes:
    """Return a number that is not negative, in decimal."""
    return _DECIMAL[value] if value < 1024 else b"%d" % value


def no_endpoint(service: str) -> bytes:
    """Return the members of the line that say where a request was served: nowhere, if by a service."""
    if not service:
        return NO_ENDPOINT
    return b'"service":%b,"cluster":"","endpoint":""' % msgspec.json.encode(service)


def failed_attempts(trace: list[tuple[str, str, str]], suppressed: Enum | None) -> bytes:
    """Return the members of the line that list failed attempts, and say why there was no other.

    Each of `trace` is cluster, endpoint, reason; the value of `suppressed` is the cause.
    """
    entries = [{"cluster": c, "endpoint": label, "reason": reason} for c, label, reason in trace]
    failed = b'"failed":%b,' % msgspec.json.encode(entries)
    return failed if suppressed is None else b'%b"suppressed":"%b",' % (failed, suppressed.value.encode())


class AccessLog:
    """Collects lines; `flush` hands them to the writer thread. Only the event loop calls it."""

    __slots__ = (
        "_buffer", "_count", "_fd", "_is_pipe", "_owns_fd", "_queue", "_second", "_seconds", "_spare",
        "_used", "_waiting", "_writer", "dropped",
    )  # fmt: skip

    def __init__(self, target: str) -> None:
        """`target` is a path (appended to) or "-" for standard output. Raises OSError."""
        self._owns_fd = target != "-"
        self._fd = open_log(Path(target)) if self._owns_fd else 1
        self._is_pipe = stat.S_ISFIFO(os.fstat(self._fd).st_mode)
        self._buffer = bytearray(BUFFER_BYTES)
        self._used = 0
        self._count = 0
        self._spare: list[bytearray] = []
        self._second = 0
        self._seconds = b""
        self._waiting = 0
        self.dropped = 0
        self._queue: SimpleQueue[tuple[bytearray, int, int] | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="access-log", daemon=True)
        self._writer.start()

    def request(
        self, resource: bytes, version: int, headers: bytes, status: int, flag: str, duration_us: int,
        request_bytes: int, response_bytes: int, request_id: bytes, client: bytes, route: bytes,
        endpoint: bytes, attempts: int, failed: bytes, snapshot: int,
    ) -> None:  # fmt: skip
        """Note a request. The query string is left out: it may hold what must not be kept.

        Arguments in bytes are members of the line, made by whom they describe; `failed` is
        `failed_attempts()` or b"". HTTP/1.`version` is what the client speaks.
        """
        ms = int(time() * 1000.0)
        second = ms // 1000
        if second != self._second:
            self._second = second
            self._seconds = b"%d" % second
        self._write(
            b'{"ts":%b.%b,%b,"protocol":"HTTP/1.%b",%b,"status":%b,"flag":"%b","dur_ms":%b.%b,"req_bytes":%b,"resp_bytes":%b,%b,'
            b'"request_id":"%b",%b,%b,"attempts":%b,%b"snapshot":%b}\n'
            % (
                self._seconds, _THREE[ms % 1000], resource, number(version), headers, number(status),
                flag.encode(), number(duration_us // 1000), _THREE[duration_us % 1000],
                number(request_bytes), number(response_bytes), client, request_id, route, endpoint,
                number(attempts), failed, number(snapshot),
            )
        )  # fmt: skip

    def _write(self, line: bytes) -> None:
        end = self._used + len(line)
        if end > BUFFER_BYTES:
            self.flush()
            end = len(line)
        self._buffer[self._used : end] = line
        self._used = end
        self._count += 1

    def flush(self) -> None:
        if not self._used:
            return
        if self._waiting > MAX_WAITING_BYTES:
            self.dropped += self._count
        else:
            self._waiting += self._used
            self._queue.put((self._buffer, self._used, self._count))
            self._buffer = self._spare.pop() if self._spare else bytearray(BUFFER_BYTES)
        self._used = 0
        self._count = 0

    def expire(self, now: float) -> float:
        """Called by the timer wheel."""
        self.flush()
        return now + FLUSH_S

    def close(self) -> None:
        """Write what is collected and end the thread; gives up after two seconds."""
        self.flush()
        self._queue.put(None)
        self._writer.join(timeout=2.0)
        if self._owns_fd:
            os.close(self._fd)

    def _write_all(self) -> None:
        while True:
            work = self._queue.get()
            if work is None:
                return
            buffer, size, lines = work
            try:
                self._write_out(buffer, size)
            except OSError:
                self.dropped += lines
            self._waiting -= size
            if len(self._spare) < _MAX_SPARE:
                self._spare.append(buffer)

    def _write_out(self, buffer: bytearray, size: int) -> None:
        with memoryview(buffer) as view:
            start = 0
            while start < size:
                end = size
                if self._is_pipe and size - start > PIPE_BUF:
                    # Workers share one pipe: only writes up to PIPE_BUF do not mix with each other
                    end = buffer.rfind(b"\n", start, start + PIPE_BUF) + 1 or buffer.find(b"\n", start) + 1
                while start < end:
                    start += os.write(self._fd, view[start:end])


def open_log(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
