"""What /proc says of a thread, and what the liveness page keeps."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from controlplane.supervisor import processes
from controlplane.supervisor.page import LivenessPage
from controlplane.supervisor.processes import ThreadTimes
from proxy.liveness import Liveness
from tests.support.waiting import until


@asynccontextmanager
async def child(code: str, *fds: int) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, pass_fds=fds, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline()  # it has begun
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def times(pid: int) -> ThreadTimes:
    found = processes.main_thread(pid)
    assert found is not None
    return found


async def test_a_thread_that_computes_is_ready_and_its_time_grows() -> None:
    async with child("print(flush=True)\nwhile True: pass") as pid:
        before = times(pid).ran_s
        await until(lambda: times(pid).ran_s > before + 0.2, 20)
        assert times(pid).is_ready


async def test_other_threads_of_the_process_do_not_count() -> None:
    code = "import threading, time\ndef spin():\n  while True: pass\nthreading.Thread(target=spin).start()\n"
    async with child(code + "print(flush=True)\ntime.sleep(60)") as pid:
        await until(lambda: not times(pid).is_ready)
        before, start = times(pid).ran_s, time.monotonic()
        await until(lambda: time.monotonic() > start + 0.5)
        assert times(pid).ran_s < before + 0.2


async def test_a_stopped_process_is_not_ready_and_a_process_that_ended_has_no_times() -> None:
    async with child("print(flush=True)\nwhile True: pass") as pid:
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: not times(pid).is_ready)
        before = times(pid).ran_s
        os.kill(pid, signal.SIGKILL)
        await until(lambda: processes.main_thread(pid) is None)
        assert before >= 0.0


async def test_the_page_counts_turns_and_keeps_the_stack() -> None:
    with LivenessPage() as page:
        assert (page.turns(), page.stack()) == (0, "")
        code = (
            "import asyncio, time\n"
            "from proxy.liveness import Liveness\n"
            "def stuck():\n"
            "    print(flush=True)\n"
            "    time.sleep(60)\n"
            "async def main():\n"
            f"    Liveness({page.fd}).start(asyncio.get_running_loop())\n"
            "    await asyncio.sleep(0.3)\n"
            "    stuck()\n"
            "asyncio.run(main())\n"
        )
        async with child(code, page.fd) as pid:
            turns = page.turns()
            assert turns >= 3
            os.kill(pid, signal.SIGQUIT)
            await until(page.stack)
            assert page.stack().split(" < ")[0].endswith("stuck")
            assert page.turns() == turns
            assert processes.main_thread(pid) is not None  # it was asked, not killed


async def test_a_worker_cannot_cut_off_the_page() -> None:
    with LivenessPage() as page, pytest.raises(PermissionError):
        os.ftruncate(page.fd, 0)


async def test_a_turn_is_noted_at_once_and_ten_times_a_second() -> None:
    with LivenessPage() as page:
        Liveness(page.fd).start(asyncio.get_running_loop())
        assert page.turns() == 1
        start = time.monotonic()
        await until(lambda: page.turns() == 6)
        assert time.monotonic() - start >= 0.45
