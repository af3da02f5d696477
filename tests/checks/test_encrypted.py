"""Checks by HTTPS, of real TLS servers."""

import asyncio
import socket
import ssl

import h11
import pytest
import trustme

from controlplane.checks import encrypted
from controlplane.checks.encrypted import ask
from controlplane.checks.probe import Prober
from controlplane.checks.verdict import PASSED, CheckOutcome, Result
from loadtest.ports import free_port
from proxy.model.snapshot import HealthCheck
from tests.support.origin import Connection, Origin, header, ok

CHECK = HealthCheck(protocol="HTTPS", timeout_s=5.0)
HASTY = HealthCheck(protocol="HTTPS", timeout_s=0.3)


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    """Of an authority that nobody trusts, for another name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("elsewhere.example").configure_cert(context)
    return context


def fails(_connection: Connection, _request: h11.Request) -> bytes:
    return b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"


def closes(_connection: Connection, _request: h11.Request) -> None:
    return None


def waits(_connection: Connection, _request: h11.Request) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("check", "answer", "expected"),
    [
        (CHECK, ok, PASSED),
        (CHECK, fails, Result(CheckOutcome.STATUS, "status 503")),
        (CHECK, closes, Result(CheckOutcome.CLOSED, "closed without an answer")),
        (HASTY, waits, Result(CheckOutcome.TIMEOUT, "no answer within 0.3 s")),
    ],
)
async def test_each_answer_has_its_result(
    tls: ssl.SSLContext, check: HealthCheck, answer: object, expected: Result
) -> None:
    async with Origin(answer, tls=tls) as origin:  # type: ignore[arg-type]
        assert await Prober().probe(*origin.address, check) == expected


async def test_a_probe_sends_method_path_and_host_of_the_check(tls: ssl.SSLContext) -> None:
    names: list[str | None] = []
    tls.sni_callback = lambda _socket, name, _context: names.append(name)
    check = HealthCheck(protocol="HTTPS", method="GET", path="/ready", host="shop.example:8443")
    async with Origin(tls=tls) as origin:
        assert await ask(*origin.address, check) == PASSED
        assert await ask(*origin.address, CHECK) == PASSED
        first = origin.requests[0][0]
    tls.sni_callback = None
    assert (first.method, first.target, header(first, b"host")) == (b"GET", b"/ready", [b"shop.example:8443"])
    assert names == ["shop.example", None]


async def test_no_tls_there() -> None:
    async with Origin() as origin:
        result = await ask(*origin.address, CHECK)
    assert result.kind in (CheckOutcome.MALFORMED, CheckOutcome.CLOSED)


async def test_a_server_that_speaks_first_and_no_tls() -> None:
    def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        host, at = server.sockets[0].getsockname()
        result = await ask(host, at, CHECK)
    assert result.kind is CheckOutcome.MALFORMED
    assert result.cause.startswith("no TLS handshake: ")


async def test_a_port_without_a_listener_counts_as_refused() -> None:
    assert await ask("127.0.0.1", free_port(), CHECK) == Result(CheckOutcome.REFUSED, "connection refused")


async def test_a_connect_that_nothing_answers_ends_with_the_timeout() -> None:
    with socket.socket() as listening, socket.socket() as first:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)  # its queue is full with one
        first.connect(listening.getsockname())
        host, at = listening.getsockname()
        result = await ask(host, at, HASTY)
    assert result == Result(CheckOutcome.TIMEOUT, "no answer within 0.3 s")


async def test_an_unanswered_handshake_ends_with_the_timeout() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        host, at = listening.getsockname()
        result = await ask(host, at, HASTY)
    assert result == Result(CheckOutcome.TIMEOUT, "no answer within 0.3 s")


async def test_a_timeout_that_this_process_slept_through_says_nothing(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.checks.failures.LATE_S", -1.0)
    async with Origin(waits, tls=tls) as origin:
        assert (await encrypted.ask(*origin.address, HASTY)).kind is CheckOutcome.LOCAL
