"""Constant arrival of requests over keep-alive connections, with every answer accounted for."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from time import monotonic

from tests.support.requests import request
from tests.support.wire import RawClient


@dataclass
class Result:
    """What came of the load. `answers` counts bodies of 200s and statuses of everything else."""

    answers: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    latencies: list[tuple[float, float]] = field(default_factory=list)  # when it was due, seconds it took

    def slowest_between(self, start: float, end: float) -> float:
        return max((took for due, took in self.latencies if start <= due < end), default=0.0)


class Load:
    """`rate` requests a second, the methods in turn, spread over `connections`.

    Latency is counted from when a request was due, not from when its connection was free, so that a
    stall of the gateway cannot hide the requests it delays.
    """

    def __init__(
        self, port: int, path: str, host: str, *, rate: float, connections: int,
        methods: tuple[str, ...] = ("GET", "POST"),
    ) -> None:  # fmt: skip
        self._port = port
        self._requests = itertools.cycle(
            [request(path, method, b"" if method == "GET" else b"order=1", host=host) for method in methods]
        )
        self._rate = rate
        self._connections = connections
        self._stopped = False
        self.result = Result()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Result]:
        """Keep the load on while the body of the `async with` runs."""
        start = monotonic() + 0.05
        due = itertools.count()
        tasks = [asyncio.create_task(self._connection(start, due)) for _ in range(self._connections)]
        try:
            yield self.result
        finally:
            self._stopped = True
            await asyncio.gather(*tasks)

    async def _connection(self, start: float, due: "itertools.count[int]") -> None:
        client: RawClient | None = None
        while not self._stopped:
            at = start + next(due) / self._rate
            wait = at - monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            try:
                client = client or await RawClient.connect(self._port)
                await client.send(next(self._requests))
                status, fields, body = await client.final_response()
            except (OSError, EOFError) as error:
                self.result.errors.append(f"{type(error).__name__} {error}")
                client = None
                continue
            self.result.latencies.append((at, monotonic() - at))
            self.result.answers[body.decode().strip() if status == 200 else str(status)] += 1
            if fields.get("connection") == "close":
                await client.close()
                client = None
        if client is not None:
            await client.close()
