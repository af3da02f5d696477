"""A spare process that has done its imports takes the place of a worker that ended."""

import asyncio
import signal
import socket
import sys
from pathlib import Path
from time import monotonic

from controlplane.gateway.workers import WorkerPool
from controlplane.supervisor import processes
from controlplane.supervisor.starting import Spare
from loadtest.ports import free_port
from tests.support.dataplane import FAKE_WORKER, applied, fetch, kill, running, snapshot
from tests.support.waiting import until


def spare(plane: WorkerPool) -> int | None:
    """Return the pid of the process that waits."""
    process = plane.supervisor._spare.process
    return None if process is None or process.returncode is not None else process.pid


async def test_the_spare_process_takes_the_place_of_a_killed_worker_and_has_a_successor(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with running(tmp_path) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        for victim in (0, 1):
            await until(lambda: spare(plane))
            waiting, pid = spare(plane), plane.supervisor.views()[victim].pid
            assert pid is not None
            kill(pid)
            await until(lambda: plane.supervisor.views()[victim].pid not in (None, pid))  # noqa: B023
            assert plane.supervisor.views()[victim].pid == waiting
            await applied(plane, 1)
            worker, answered_by, _ = await fetch(port)
            assert plane.supervisor.views()[worker].pid == answered_by
        await until(lambda: spare(plane))
        last = spare(plane)
        assert last is not None
    assert processes.start_time(last) is None  # it ended with the others


async def test_a_spare_process_that_was_killed_is_missed_by_no_client(tmp_path: Path) -> None:
    port = free_port()
    async with running(tmp_path, workers=1) as plane:
        plane.publish(snapshot(1, port))
        await applied(plane, 1)
        await until(lambda: spare(plane))
        waiting, pid = spare(plane), plane.supervisor.views()[0].pid
        assert waiting is not None
        assert pid is not None
        kill(waiting)
        kill(pid)
        assert (await fetch(port))[1] not in (waiting, pid)
        await until(lambda: spare(plane) not in (None, waiting))


async def test_a_spare_process_ends_when_the_control_plane_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from controlplane.supervisor.starting import Spare\n"
        "async def main():\n"
        "    spare = Spare(tuple(sys.argv[1:]))\n"
        "    await spare.keep()\n"
        "    print(spare.process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    words = ("-m", "proxy.worker", "--socket", str(tmp_path / "socket"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, sys.executable, *words, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    pid = int(await process.stdout.readline())
    assert processes.start_time(pid) is not None
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await until(lambda: processes.start_time(pid) is None)


async def test_a_spare_process_takes_one_place_only() -> None:
    kept = Spare(FAKE_WORKER)
    assert kept.take(0, ()) is None
    await kept.keep()
    first = kept.process
    assert first is not None
    await kept.keep()
    assert kept.process is first
    one, two = socket.socketpair()
    with one, two:
        assert kept.take(3, (one.fileno(), two.fileno())) is first
        assert kept.take(3, (one.fileno(), two.fileno())) is None
    first.kill()
    await first.wait()
    start = monotonic()
    await kept.end()
    assert monotonic() - start < 1.0
