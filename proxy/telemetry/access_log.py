"""The access log: JSON lines, collected in memory and written by a thread, dropped rather than waited for.

A line costs more than any other step without a system call (measured: 5 of 19 µs per request). So
each line is joined from pieces that were made once (by request line, header block, connection, route,
endpoint) and copied into a buffer that is used again: memory touched for the first time costs more
than the copy.
"""

import logging
import threading
from enum import Enum
from queue import SimpleQueue
from time import time
from typing import Final

import msgspec

from proxy.telemetry.log_file import LogFile

log = logging.getLogger(__name__)

BUFFER_BYTES: Final = 131072
FLUSH_S: Final = 0.1
MAX_WAITING_BYTES: Final = 8 << 20  # then the reader of the log is slower than the traffic: drop
_MAX_SPARE: Final = 4

NO_RESOURCE: Final = b'"method":"","path":""'
NO_HEADERS: Final = b'"host":"","ua":""'
NO_ROUTE: Final = b'"route":"","ingress":""'
NO_ENDPOINT: Final = b'"service":"","cluster":"","endpoint":""'

_PROTOCOLS: Final = (b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2")  # by `RequestLine.version`
_THREE: Final = [b"%03d" % number for number in range(1000)]


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
        "_buffer", "_count", "_file", "_is_closed", "_is_overrun", "_overruns", "_queue", "_queued_bytes",
        "_reopens", "_second", "_seconds", "_spare", "_used", "_view", "_writer",
        "_written_bytes",
    )  # fmt: skip

    def __init__(self, target: str) -> None:
        """`target` is a path (appended to) or "-" for standard output."""
        self._file = LogFile(target)
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._used = 0
        self._count = 0
        self._spare: list[bytearray] = []
        self._second = 0
        self._seconds = b""
        self._queued_bytes = 0
        self._written_bytes = 0  # counted by the writer thread, each by one thread only: there is no lock
        self._overruns = 0
        self._is_overrun = False
        self._is_closed = False
        self._reopens = False
        self._queue: SimpleQueue[tuple[bytearray, int, int] | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="access-log", daemon=True)
        self._writer.start()

    def request(
        self, client: bytes, status: int, flag: str, snapshot: int, resource: bytes = NO_RESOURCE,
        version: int = 1, headers: bytes = NO_HEADERS, request_id: bytes = b"", route: bytes = NO_ROUTE,
        endpoint: bytes = NO_ENDPOINT, duration_us: int = 0, request_bytes: int = 0, response_bytes: int = 0,
        attempts: int = 0, failed: bytes = b"",
    ) -> None:  # fmt: skip
        """Note a request. The query string is left out: it may hold secrets.

        `client`, `resource`, `headers`, `route`, `endpoint` and `failed` are members of the line, made once
        by the objects that they describe; `failed` is `failed_attempts()` or b"". `version` is that of the
        request line. Named arguments, no object that holds them: to make one was measured as 1.2 µs.
        """
        ms = int(time() * 1000.0)
        second = ms // 1000
        if second != self._second:
            self._second = second
            self._seconds = b"%d" % second
        self._write(
            b'{"ts":%b.%b,%b,"protocol":"%b",%b,"status":%d,"flag":"%b","dur_ms":%d.%b,"req_bytes":%d,"resp_bytes":%d,%b,'
            b'"request_id":"%b",%b,%b,"attempts":%d,%b"snapshot":%d}\n'
            % (
                self._seconds, _THREE[ms % 1000], resource, _PROTOCOLS[version], headers, status,
                flag.encode(), duration_us // 1000, _THREE[duration_us % 1000],
                request_bytes, response_bytes, client, request_id, route, endpoint,
                attempts, failed, snapshot,
            )
        )  # fmt: skip

    def _write(self, line: bytes) -> None:
        end = self._used + len(line)
        if end > BUFFER_BYTES:
            self.flush()
            end = len(line)
        self._view[self._used : end] = line  # a bytearray would make another one of the line first
        self._used = end
        self._count += 1

    def flush(self) -> None:
        if not self._used:
            return
        waiting = self._queued_bytes - self._written_bytes
        if waiting > MAX_WAITING_BYTES:
            self._overrun(self._count)
        else:
            if not waiting:
                self._is_overrun = False
            self._queued_bytes += self._used
            self._queue.put((self._buffer, self._used, self._count))
            self._buffer = self._spare.pop() if self._spare else bytearray(BUFFER_BYTES)
            self._view = memoryview(self._buffer)
        self._used = 0
        self._count = 0

    def reopen(self) -> None:
        """Write the collected lines to the old file, later lines to the file that has its name now."""
        if self._is_closed or self._reopens:
            return
        self.flush()
        self._reopens = True
        self._queue.put(_REOPEN)

    def expire(self, now: float) -> float:
        """The timer wheel calls `expire`."""
        self.flush()
        return now + FLUSH_S

    def close(self) -> None:
        """Write the collected lines and end the thread; gives up after two seconds."""
        self.flush()
        self._is_closed = True
        self._queue.put(None)
        self._writer.join(timeout=2.0)
        if not self._writer.is_alive():
            self._file.close()

    @property
    def dropped(self) -> int:
        """Lines lost so far."""
        return self._overruns + self._file.lost

    def _overrun(self, lines: int) -> None:
        self._overruns += lines
        if not self._is_overrun:
            self._is_overrun = True
            log.error("access log: its reader is slower than the traffic; lines are lost until it catches up")

    def _write_all(self) -> None:
        while True:
            work = self._queue.get()
            if work is None:
                return
            buffer, size, lines = work
            if not size:
                self._reopens = False
                self._file.reopen()
                continue
            self._file.write(buffer, size, lines)
            self._written_bytes += size
            if len(self._spare) < _MAX_SPARE:
                self._spare.append(buffer)


_REOPEN: Final = (bytearray(), 0, 0)
