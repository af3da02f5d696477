"""A worker says how many tasks and timers it has: none is left when requests and connections are gone."""

from tests.dataplane.conftest import Connect
from tests.support.origin import Origin
from tests.support.requests import request
from tests.support.snapshots import snapshot
from tests.support.waiting import until_async
from tests.support.worker import WorkerProcess


async def held(worker: WorkerProcess) -> tuple[int, int]:
    stats = await worker.stats()
    return stats.tasks, stats.timers


async def test_requests_have_timers_but_no_tasks_and_leave_neither(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin(lambda _c, _r: b"") as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        tasks, timers = await held(worker)
        assert tasks
        clients = [await connect() for _ in range(5)]
        for client in clients:
            await client.send(request())

        async def are_all_asked() -> bool:
            return len(origin.connections) == 5 and await held(worker) >= (tasks, timers + 10)

        await until_async(are_all_asked, 5.0, "five requests, a timer for each side of them")
        assert (await held(worker))[0] == tasks
        for client in clients:
            client.reset()

        async def is_nothing_left() -> bool:
            return await held(worker) == (tasks, timers)

        await until_async(is_nothing_left, 5.0, "as many tasks and timers as before")
