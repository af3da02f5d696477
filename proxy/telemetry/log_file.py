"""The file, pipe or terminal that the access log goes to: a line is written whole, or not at all.

The workers append to one file. A disk that fills up takes a part of a write, and the write after it
fails: the writer then cuts the written part of a line away again. Cutting is safe only while no other
worker appends, hence the lock. The lock also keeps lines of over PIPE_BUF bytes whole in a pipe.
"""

import errno
import fcntl
import logging
import os
import select
import stat
import time
from typing import Final

log = logging.getLogger(__name__)

LOCK_S: Final = 1.0
"""Seconds that a worker waits for another worker that appends to the same file."""

QUIET_S: Final = 1.0
"""Seconds without a lost line after which the trouble is over: it is logged once, not with every line."""

OPEN_AGAIN_S: Final = 1.0
_LOCK_POLL_S: Final = 0.002
_POLL_MS: Final = 1000


class LogFile:
    """Only the writer thread calls its methods; any thread may read `lost`, the number of lost lines."""

    __slots__ = (
        "_failed_at", "_fd", "_is_file", "_is_shared", "_lost_before", "_open_at", "_path", "_rest", "lost",
    )  # fmt: skip

    def __init__(self, target: str) -> None:
        """`target` is a path, created if need be and appended to, or "-" for standard output.

        A file that cannot be opened is tried again later: its lines are lost until then.
        """
        self._path = "" if target == "-" else os.path.abspath(target)
        self._fd = -1
        self._is_file = False
        self._is_shared = False
        self._rest = b""
        self._open_at = 0.0
        self._failed_at = 0.0
        self._lost_before = 0
        self.lost = 0
        try:
            self._open()
        except OSError as error:
            self._say(error)
            self._open_at = time.monotonic() + OPEN_AGAIN_S

    def reopen(self) -> None:
        """Open the path anew: the file may have been moved. Keeps the old one when that fails."""
        if not self._path:
            return
        if self._fd >= 0:
            self._writes_rest()
        try:
            self._open()
        except OSError as error:
            log.error(
                "access log %s: cannot be reopened: %s; the old file is kept", self._path, error.strerror
            )

    def write(self, buffer: bytearray, size: int, lines: int) -> None:
        """Write `lines` whole lines, the first `size` bytes of the buffer; those that fail are lost."""
        if self._fd < 0 and not self._opens():
            self._lose(lines)
            return
        locked = self._lock()
        try:
            done = 0
            if self._writes_rest():
                before = self._size() if self._is_file else 0
                done = self._write_all(buffer, size)
                if done < size:
                    done = self._mend(buffer, done, before)
            if done < size:
                self._lose(buffer.count(b"\n", done, size))
            elif self._failed_at and time.monotonic() >= self._failed_at + QUIET_S:
                self._recovered()
        finally:
            if locked:
                self._unlock()

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if self._path and fd >= 0:
            try:
                os.close(fd)
            except OSError:  # of a late write; the descriptor is closed all the same
                pass

    def _open(self) -> None:
        fd = open_log(self._path) if self._path else 1
        mode = os.fstat(fd).st_mode
        self.close()
        self._fd = fd
        self._rest = b""
        self._is_file = stat.S_ISREG(mode)
        # A lock of a device, such as /dev/null, holds for the whole machine
        self._is_shared = self._is_file or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        if self._is_file and not self._path:
            # `fleetgate run >file`, which a log rotation truncates: without O_APPEND, holes of zeros would
            # follow
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)

    def _opens(self) -> bool:
        """Try again to open it, now and then."""
        if time.monotonic() < self._open_at:
            return False
        try:
            self._open()
        except OSError:
            self._open_at = time.monotonic() + OPEN_AGAIN_S
            return False
        return True

    def _lock(self) -> bool:
        """Keep other workers from writing meanwhile; return whether that succeeded.

        The holder of a pipe's lock waits for the pipe's reader, as this worker would. A stranger may hold the
        lock of a file: then this worker writes without it.
        """
        if not self._is_shared:
            return False
        ends = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    return False
            if self._is_file and time.monotonic() >= ends:
                return False
            time.sleep(_LOCK_POLL_S)

    def _unlock(self) -> None:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)
        except OSError:  # a file system that is gone
            pass

    def _writes_rest(self) -> bool:
        """Complete the line that is half written, if there is one; return whether no half line is left."""
        if not self._rest:
            return True
        rest = bytearray(self._rest)
        self._rest = bytes(rest[self._write_all(rest, len(rest)) :])
        return not self._rest

    def _write_all(self, buffer: bytearray, size: int) -> int:
        """Return the number of written bytes: fewer than `size` after an error, which is logged."""
        start = 0
        with memoryview(buffer) as view:
            while start < size:
                end = size
                if not self._is_file and size - start > select.PIPE_BUF:
                    # Writes up to PIPE_BUF do not mix with those of programs that know of no lock
                    end = buffer.rfind(b"\n", start, start + select.PIPE_BUF) + 1
                    end = end or buffer.find(b"\n", start) + 1 or size
                try:
                    start += os.write(self._fd, view[start:end])
                except BlockingIOError:  # another program set the pipe to O_NONBLOCK, and reads slowly
                    self._wait()
                except OSError as error:
                    self._say(error)
                    return start
        return start

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.poll(_POLL_MS)

    def _mend(self, buffer: bytearray, done: int, before: int) -> int:
        """Return where the lost lines begin, `done` bytes being out: half a line is cut away or completed.

        `before` is how long the file was.
        """
        begin = buffer.rfind(b"\n", 0, done) + 1
        if begin == done or self._cut(before + done, before + begin):
            return begin
        end = buffer.find(b"\n", done) + 1
        self._rest = bytes(buffer[done:end])
        return end

    def _cut(self, end: int, where: int) -> bool:
        """Shorten the file, unless another program appended behind `end`; return whether that is done."""
        if not self._is_file:
            return False
        if self._size() != end:
            return False
        try:
            os.ftruncate(self._fd, where)
        except OSError:  # a file that may only be appended to, say
            return False
        return True

    def _size(self) -> int:
        try:
            return os.fstat(self._fd).st_size
        except OSError:  # ESTALE of a file system that is gone
            return -1

    def _lose(self, lines: int) -> None:
        self.lost += lines
        self._failed_at = time.monotonic()

    def _say(self, error: OSError) -> None:
        if not self._failed_at:
            self._lost_before = self.lost
            log.error(
                "access log %s: %s; lines are lost until it can be written", self._name(), error.strerror
            )
        self._failed_at = time.monotonic()

    def _recovered(self) -> None:
        self._failed_at = 0.0
        log.warning(
            "access log %s: is written again, %d lines were lost", self._name(), self.lost - self._lost_before
        )

    def _name(self) -> str:
        return self._path or "on standard output"


def open_log(path: str) -> int:
    """Open for appending, never waiting for the reader of a pipe. Raises OSError."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    return os.open(path, flags, 0o640)
