"""Runs the child process: one at a time, for a bounded time, without a long turn of the event loop."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from controlplane.proposal.difference import ProposalError
from controlplane.proposal.job import END, REFUSED, Basis, frame, frames
from controlplane.system import children

log = logging.getLogger(__name__)

PATIENCE_S: Final = 300.0
MAX_ANSWER: Final = 64 << 20
_TURN_S: Final = 0.002
_MODULE: Final = "controlplane.proposal"

Rates = Mapping[str, float]
"""Requests per second by route."""


class Failed(Exception):
    """There is no answer; the message is one line that says why."""


class Busy(Failed):
    """Another one is being worked out."""


class Differ:
    """See `difference`."""

    def __init__(self) -> None:
        self._is_busy = False

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keep others out until the end: also while the objects come from the client. Raises Busy."""
        if self._is_busy:
            raise Busy("another diff is being worked out; ask again when it is done")
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False

    async def difference(self, body: bytes, basis: Basis, rates: Callable[[], Awaitable[Rates]]) -> bytes:
        """Return the JSON document for a Proposal. `rates` is asked meanwhile, and may take its time.

        Raises ProposalError, Failed.
        """
        process = await asyncio.create_subprocess_exec(
            *children.python(_MODULE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=children.environment(),
        )
        telling = asyncio.ensure_future(_tell(process, body, basis, rates))
        reading = [asyncio.ensure_future(_all_of(stream)) for stream in (process.stdout, process.stderr)]
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer, said = await asyncio.gather(*reading)
                await telling
                status = await process.wait()
        except TimeoutError:
            raise Failed(
                f"it takes longer than {PATIENCE_S:.0f} s; ask about fewer objects at a time"
            ) from None
        finally:
            await _end(process, telling, *reading)
        if status == REFUSED:
            raise ProposalError(answer.decode())
        if status:
            log.error("diff failed", extra={"status": status, "said": said.decode(errors="replace")[-2000:]})
            raise Failed(f"the process that works it out ended with status {status}; see the log")
        return answer


async def _tell(
    process: asyncio.subprocess.Process, body: bytes, basis: Basis, rates: Callable[[], Awaitable[Rates]]
) -> None:
    """Write the job. A child that has ended says why itself."""
    measured = asyncio.ensure_future(rates())
    stdin = process.stdin
    assert stdin is not None
    try:
        stdin.write(len(body).to_bytes(4, "big"))
        stdin.write(body)
        started = time.perf_counter()
        for each in frames(basis):
            stdin.write(each)
            if time.perf_counter() - started >= _TURN_S:
                await stdin.drain()
                await asyncio.sleep(0)
                started = time.perf_counter()
        stdin.write(END)
        stdin.write(frame(await measured))
        await stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        measured.cancel()
        stdin.close()


async def _end(process: asyncio.subprocess.Process, *tasks: "asyncio.Future[Any]") -> None:
    """Kill a process that has not ended, and wait for its end.

    asyncio sees the end of a process only when its pipes have ended: their content must be read first.
    """
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        process.kill()
    for stream in (process.stdout, process.stderr):
        while stream is not None and await stream.read(1 << 16):
            continue
    await process.wait()


async def _all_of(stream: asyncio.StreamReader | None) -> bytes:
    """Return the output of a child. Raises Failed."""
    assert stream is not None
    found = bytearray()
    while data := await stream.read(1 << 16):
        found += data
        if len(found) > MAX_ANSWER:
            raise Failed(f"the answer is longer than {MAX_ANSWER} bytes; ask about fewer objects at a time")
    return bytes(found)
