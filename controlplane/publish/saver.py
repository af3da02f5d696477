"""Keeps a file up to date with a value that changes often: atomically, seldom, off the event loop."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

DEBOUNCE_S = 0.5
RETRY_S = 10.0

Value = TypeVar("Value")


class Saver(Generic[Value]):
    """Saves the newest value. A write that fails is counted, logged once and tried again."""

    def __init__(self, path: Path, encode: Callable[[Value], bytes]) -> None:
        self.saved: Value | None = None
        self.failures = 0
        self.error = ""
        self._path = path
        self._encode = encode
        self._pending: Value | None = None
        self._task: asyncio.Task[None] | None = None

    def save_soon(self, value: Value) -> None:
        self._pending = value
        if self._task is None:
            self._task = asyncio.create_task(self._save_pending(), name=f"saver {self._path.name}")

    async def close(self) -> None:
        """Write the pending value once, and stop."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._pending is not None:
            await self._save(self._pending)

    async def _save_pending(self) -> None:
        while self._pending is not None:
            await asyncio.sleep(RETRY_S if self.error else DEBOUNCE_S)
            value = self._pending
            if await self._save(value) and self._pending is value:
                self._pending = None
        self._task = None

    async def _save(self, value: Value) -> bool:
        try:
            await asyncio.to_thread(lambda: write_atomically(self._path, self._encode(value)))
        except OSError as error:
            self.failures += 1
            if not self.error:
                log.error("state not saved", extra={"path": str(self._path), "cause": str(error)})
            self.error = str(error)
            return False
        self.saved = value
        self.error = ""
        return True


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at `path`, readable by its owner only. Raises OSError; the old file stays then."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # the rename itself must survive a power cut
    finally:
        os.close(directory)
