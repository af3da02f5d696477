"""A control plane process for tests that kill it: touches "ready-<version>", ends on SIGTERM."""

import asyncio
import signal
import sys
from pathlib import Path

from controlplane.gateway.workers import WorkerPool
from tests.support.dataplane import FAKE_WORKER, applied, snapshot


async def main(state_dir: Path, port: int, version: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    plane = WorkerPool(state_dir, 2, FAKE_WORKER, "off", 5.0)
    await plane.start()
    failed = plane.publish(snapshot(version, port, route=f"shop/web/0/{version}"))
    assert not failed
    await applied(plane, version)
    (state_dir / f"ready-{version}").touch()
    await stop.wait()
    await plane.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
