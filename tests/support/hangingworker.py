"""The real worker, whose event loop stops turning when a signal says so.

SIGTTIN: it computes for ever. SIGTSTP: it sleeps for ever. SIGTTOU: for six seconds each turn takes
0.6 s of CPU time.
"""

import asyncio
import signal
import sys
import time

from proxy import worker


def compute_for_ever() -> None:
    while True:
        pass


def sleep_for_ever() -> None:
    time.sleep(3600)


def turn_slowly(until: float) -> None:
    end = time.thread_time() + 0.6
    while time.thread_time() < end:
        pass
    if time.monotonic() < until:
        asyncio.get_running_loop().call_soon(turn_slowly, until)


class HangingWorker(worker.Worker):
    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTTIN, compute_for_ever)
        loop.add_signal_handler(signal.SIGTSTP, sleep_for_ever)
        loop.add_signal_handler(signal.SIGTTOU, lambda: turn_slowly(time.monotonic() + 6.0))
        await super().run()


if __name__ == "__main__":
    worker.Worker = HangingWorker  # type: ignore[misc]
    sys.exit(worker.main())
