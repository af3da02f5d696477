"""Single checks of real sockets: what each way to answer, or not to, counts as."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator

import h11
import pytest

from controlplane.checks.probe import Prober
from controlplane.checks.verdict import PASSED, CheckOutcome, Result
from loadtest.ports import free_port
from proxy.model.snapshot import HealthCheck
from tests.support.origin import Answer, Connection, Origin, header, ok
from tests.support.waiting import until

CHECK = HealthCheck(timeout_s=5.0)
HASTY = HealthCheck(timeout_s=0.2)
GET = HealthCheck(method="GET")


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    made = Prober()
    yield made
    made.close()


def says(data: bytes | None) -> Answer:
    return lambda _connection, _request: data


def status(number: int) -> Answer:
    return says(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % number)


def resets(connection: Connection, _request: h11.Request) -> None:
    connection.reset()


@pytest.mark.parametrize(
    ("check", "answer", "expected"),
    [
        (CHECK, ok, PASSED),
        (CHECK, status(204), PASSED),
        (CHECK, status(302), Result(CheckOutcome.STATUS, "status 302")),
        (HealthCheck(statuses=(2, 3)), status(302), PASSED),
        (HealthCheck(statuses=(4,)), status(404), PASSED),
        (HealthCheck(statuses=(4,)), ok, Result(CheckOutcome.STATUS, "status 200")),
        (CHECK, status(503), Result(CheckOutcome.STATUS, "status 503")),
        (CHECK, says(b"HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), PASSED),
        (
            CHECK,
            says(b"220 mail.example ESMTP\r\n"),
            Result(CheckOutcome.MALFORMED, "the answer is not HTTP"),
        ),
        (CHECK, says(None), Result(CheckOutcome.CLOSED, "closed without an answer")),
        (CHECK, resets, Result(CheckOutcome.CLOSED, "closed without an answer")),
        (HASTY, says(b""), Result(CheckOutcome.TIMEOUT, "no answer within 0.2 s")),
        (HASTY, says(b"HTTP/1.1 200"), Result(CheckOutcome.TIMEOUT, "no answer within 0.2 s")),
        (HealthCheck(protocol="TCP"), says(None), PASSED),
    ],
)
async def test_each_answer_has_its_result(
    prober: Prober, check: HealthCheck, answer: Answer, expected: Result
) -> None:
    async with Origin(answer) as origin:
        assert await prober.probe(*origin.address, check) == expected
        assert not any(connection.broken for connection in origin.connections)


async def test_the_endpoint_sees_what_the_check_says(prober: Prober) -> None:
    check = HealthCheck(method="GET", path="/ready?deep=1", host="shop.example")
    async with Origin() as origin:
        await prober.probe(*origin.address, check)
        ((request, body),) = origin.requests
        assert (request.method, request.target, body) == (b"GET", b"/ready?deep=1", b"")
        assert header(request, b"host") == [b"shop.example"]


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
async def test_a_port_without_a_listener_counts_as_refused(prober: Prober, protocol: str) -> None:
    result = await prober.probe("127.0.0.1", free_port(), HealthCheck(protocol=protocol))
    assert result == Result(CheckOutcome.REFUSED, "connection refused")


async def test_a_connect_that_nothing_answers_ends_with_the_timeout(prober: Prober) -> None:
    with socket.socket() as listening, socket.socket() as first:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)  # its queue is full with one
        first.connect(listening.getsockname())
        address, port = listening.getsockname()
        result = await prober.probe(address, port, HealthCheck(protocol="TCP", timeout_s=0.2))
    assert result == Result(CheckOutcome.TIMEOUT, "no answer within 0.2 s")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EMFILE, CheckOutcome.LOCAL),
        (errno.EADDRNOTAVAIL, CheckOutcome.LOCAL),
        (errno.ENETUNREACH, CheckOutcome.UNREACHABLE),
    ],
)
async def test_errors_of_this_machine_are_told_apart_from_an_unreachable_network(
    prober: Prober, monkeypatch: pytest.MonkeyPatch, code: int, kind: CheckOutcome
) -> None:
    class Full(socket.socket):
        def connect_ex(self, _address: object) -> int:
            return code

    monkeypatch.setattr("controlplane.checks.probe.socket.socket", Full)
    assert (await prober.probe("127.0.0.1", 1, CHECK)).kind is kind


async def test_a_machine_without_descriptors_says_nothing_of_the_endpoint(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("controlplane.checks.probe.socket.socket", fails)
    assert (await prober.probe("127.0.0.1", 1, CHECK)).kind is CheckOutcome.LOCAL


async def test_a_timeout_that_this_process_slept_through_says_nothing(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.checks.failures.LATE_S", -1.0)
    async with Origin(says(b"")) as origin:
        assert (await prober.probe(*origin.address, HASTY)).kind is CheckOutcome.LOCAL


async def end_of(origin: Origin) -> None:
    """Wait until the endpoint sees the end of its only connection."""
    async with asyncio.timeout(5):
        await origin.connections[0].lost.wait()


async def test_a_cancelled_check_closes_its_connection(prober: Prober) -> None:
    async with Origin(says(b"")) as origin:
        checking = asyncio.create_task(prober.probe(*origin.address, CHECK))
        await until(lambda: origin.requests)
        checking.cancel()
        await end_of(origin)
        with pytest.raises(asyncio.CancelledError):
            await checking


async def test_an_answer_that_goes_on_is_read_to_its_end(prober: Prober) -> None:
    """An endpoint that is cut off in the middle logs a client that went away."""
    async with Origin(says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")) as origin:
        assert await prober.probe(*origin.address, GET) == PASSED
        (connection,) = origin.connections
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connection.lost.wait()
        connection.close()
        await end_of(origin)


@pytest.mark.parametrize("ends", ["by itself", "with the prober"])
async def test_an_answer_without_end_is_cut(
    prober: Prober, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr("controlplane.checks.probe.LINGER_S", 0.05 if ends == "by itself" else 60.0)
    async with Origin(says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")) as origin:
        assert await prober.probe(*origin.address, GET) == PASSED
        if ends == "with the prober":
            prober.close()
        await end_of(origin)


async def test_the_rest_of_a_long_answer_is_not_read(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.checks.probe.LINGER_S", 60.0)
    async with Origin(says(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000_000)) as origin:
        assert await prober.probe(*origin.address, GET) == PASSED
        await end_of(origin)
