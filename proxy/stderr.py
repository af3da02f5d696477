"""Log lines to standard error without waiting for its reader: both planes log through this handler.

A pipe that no reader empties would otherwise stop the event loop that logs, and with it all requests.
"""

import atexit
import logging
import os
import queue
import select
import stat
import threading
from typing import Final

WAITING_LINES: Final = 10_000
"""Lines that may wait. Further lines are dropped, and counted in the first one that is written again."""

END_S: Final = 1.0
_POLL_MS: Final = 1000


class StderrHandler(logging.Handler):
    """Writes from a thread of its own, or at once to a file, which needs no reader.

    `fd`: file descriptor to write to; tests use another one than standard error.
    """

    def __init__(self, fd: int = 2) -> None:
        super().__init__()
        self._fd = fd
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING_LINES)
        self._dropped = 0
        self._is_torn = False  # a full disk took a part of a line
        self._is_file = _is_file(fd)
        self._thread = threading.Thread(target=self._write_all, name="stderr", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            if self._is_file:
                self._write(line)
            else:
                self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Write the waiting lines; give up after a second."""
        atexit.unregister(self.close)
        try:
            self._lines.put_nowait(None)
            self._thread.join(END_S)
        except queue.Full:  # the reader does not read: waiting is of no use
            pass
        super().close()

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                self._write(f"{dropped} log lines were lost: standard error was read too slowly")
            self._write(line)

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode(errors="replace")
        if self._is_torn:
            data = b"\n" + data
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._fd, select.POLLOUT)
                poll.poll(_POLL_MS)
            except OSError:  # a full disk, or a closed pipe: no place is left to report it
                self._is_torn |= len(left) < len(data)
                return
        self._is_torn = False


def _is_file(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:  # closed
        return False
