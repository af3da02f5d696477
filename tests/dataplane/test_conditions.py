"""Each kind of condition, from the client's bytes to the endpoint that answers."""

import msgspec
import pytest

from proxy.model.conditions import (
    Condition,
    CookieCondition,
    HeaderCondition,
    HostCondition,
    MethodCondition,
    QueryCondition,
    SourceCondition,
    TextKind,
)
from proxy.model.snapshot import Snapshot
from tests.dataplane.conftest import Connect
from tests.dataplane.test_shares import named
from tests.support.origin import Origin
from tests.support.requests import request
from tests.support.snapshots import route, service, snapshot
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

GRAY = "demo/gray:80"


def with_condition(port: int, plain: Origin, gray: Origin, condition: Condition) -> Snapshot:
    made = snapshot(
        port, {"c1": [plain.address]}, route(port), route(port, conditions=(condition,), to=GRAY, name="gray")
    )
    return msgspec.structs.replace(made, services=(*made.services, service({"c1": [gray.address]}, GRAY)))


async def answer(client: RawClient, raw: bytes) -> str:
    await client.send(raw)
    status, _, body = await client.final_response()
    assert status == 200
    return body.decode()


@pytest.mark.parametrize(
    ("condition", "held", "others"),
    [
        (HeaderCondition("stage", ("g",), TextKind.PREFIX), request(extra="Stage: gray\r\n"), [request()]),
        (
            CookieCondition((("stage", "gray"),)),
            request(extra='Cookie: a=1\r\nCookie: b=2; stage="gray"\r\n'),
            [request(extra="Cookie: stage=blue\r\n"), request()],
        ),
        (
            QueryCondition((("stage", "gr?y"),)),
            request("/?a=1&st%61ge=gr%65y"),
            [request("/?stage=blue"), request("/")],
        ),
        (MethodCondition(("POST",)), request(method="POST", body=b"x"), [request()]),
        (HostCondition(("[a-z]+[.]example",), TextKind.REGEX), request(host="GRAY.example:80"), [request()]),
    ],
    ids=["header", "cookie", "query", "method", "host"],
)
async def test_conditions(
    worker: WorkerProcess, port: int, connect: Connect, condition: Condition, held: bytes, others: list[bytes]
) -> None:
    if isinstance(condition, HostCondition):
        others = [request(host="gray.demo.example")]
    async with Origin(named("plain")) as plain, Origin(named("gray")) as gray:
        await worker.apply(with_condition(port, plain, gray, condition))
        client = await connect()
        for _ in range(3):  # the third time, header block and line are remembered
            assert await answer(client, held) == "gray"
            for other in others:
                assert await answer(client, other) == "plain"


async def test_sources_are_those_that_a_trusted_proxy_reports(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    condition = SourceCondition(("127.0.0.3", "198.51.100.0/24"))
    async with Origin(named("plain")) as plain, Origin(named("gray")) as gray:
        made = with_condition(port, plain, gray, condition)
        await worker.apply(msgspec.structs.replace(made, trusted_proxies=("127.0.0.2",)))
        proxy, gray_client, stranger = [await connect(source=f"127.0.0.{n}") for n in (2, 3, 4)]
        said = request(extra="X-Forwarded-For: 198.51.100.9\r\n")
        for _ in range(3):
            assert await answer(proxy, said) == "gray"
            assert await answer(proxy, request()) == "plain"
            assert await answer(stranger, said) == "plain"
            assert await answer(gray_client, request()) == "gray"
