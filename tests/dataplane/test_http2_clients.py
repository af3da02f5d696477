"""HTTP/2 with clients that nobody here wrote: curl, nghttp, h2load, httpx, and the handshake of OpenSSL."""

import asyncio
import hashlib
import os
import re
import shutil
import ssl
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import h11
import httpx
import pytest
import pytest_asyncio

from tests.support.origin import Origin
from tests.support.snapshots import route, service
from tests.support.twoports import serve_two_ports
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEADLINE_S = 60.0
HOST = "a.example"
LARGE = bytes(range(256)) * (5 << 12)  # 5 MiB
UPLOAD = os.urandom(1 << 16) * 48  # 3 MiB
REQUESTS, CONNECTIONS, STREAMS = 2000, 4, 32

TRANSPORTS = ["h2c", "tls"]
CURL_8 = 8


def curl_version() -> int:
    """Return the first number of the version of curl."""
    said = subprocess.run(["curl", "-V"], capture_output=True, text=True, check=True).stdout
    return int(said.split()[1].partition(".")[0])


def in_parallel() -> list[Any]:
    """Return the transports over which curl can send requests in parallel."""
    why = "before 8.0 curl could not share a connection of prior knowledge (curl/curl#10634)"
    mark = pytest.mark.skipif(curl_version() < CURL_8, reason=why)
    return [pytest.param("h2c", marks=mark), "tls"]


needs_nghttp = pytest.mark.skipif(
    shutil.which("nghttp") is None, reason="nghttp is not installed (Debian: nghttp2-client)"
)
needs_h2load = pytest.mark.skipif(
    shutil.which("h2load") is None, reason="h2load is not installed (Debian: nghttp2-client)"
)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
needs_h2 = pytest.mark.skipif(find_spec("h2") is None, reason="httpx[http2] needs the package h2")


def respond(origin: Origin, request: h11.Request) -> bytes:
    if request.target == b"/trailers":
        return (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Sum: 5d41\r\n\r\n"
        )
    _, body = origin.requests[-1]
    content = LARGE if request.target == b"/large" else hashlib.sha256(body).hexdigest().encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Method: %b\r\n\r\n" % (len(content), request.method)
    return head if request.method == b"HEAD" else head + content


class Site(NamedTuple):
    """A worker with a listener in the clear and one with TLS, before an endpoint of HTTP/1."""

    origin: Origin
    ports: dict[str, int]  # by transport
    authority: Path
    context: ssl.SSLContext

    def url(self, transport: str, path: str) -> str:
        scheme = "https" if transport == "tls" else "http"
        return f"{scheme}://{HOST}:{self.ports[transport]}{path}"

    def by_address(self, transport: str, path: str) -> str:
        """Return a URL for clients that cannot be told where HOST is."""
        return self.url(transport, path).replace(HOST, "127.0.0.1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    async with Origin() as origin, WorkerProcess() as worker:
        origin.answer = lambda _, request: respond(origin, request)
        services = (service({"c1": [origin.address]}),)
        ports = await serve_two_ports(worker, (route(0),), services, HOST, "127.0.0.1", http2=True)
        path.write_bytes(ports.authority.pem)
        yield Site(origin, {"h2c": ports.plain, "tls": ports.tls}, path, ports.trusting())


class Done(NamedTuple):
    code: int
    out: bytes
    errors: str


async def run(*command: str, given: bytes = b"") -> Done:
    """Run a program to its end."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(DEADLINE_S):
            out, errors = await process.communicate(given)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Done(process.returncode, out, errors.decode(errors="replace"))


async def curl(site: Site, transport: str, *options: str) -> Done:
    how = ("--http2", "--cacert", str(site.authority)) if transport == "tls" else ("--http2-prior-knowledge",)
    place = ("--resolve", f"{HOST}:{site.ports[transport]}:127.0.0.1", "--noproxy", "*")
    done = await run("curl", "-sS", "--max-time", "50", *how, *place, *options)
    assert done.code == 0, done.errors
    return done


SHOWN = "\n%{http_version} %{http_code} %{num_connects}\n"
NOTHING = hashlib.sha256().hexdigest()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_curl_gets(site: Site, transport: str) -> None:
    done = await curl(site, transport, "-w", SHOWN, site.url(transport, "/x"))
    assert done.out.decode() == f"{NOTHING}\n2 200 1\n"


@pytest.mark.parametrize("transport", in_parallel())
async def test_curl_gets_many_over_one_connection(site: Site, transport: str, tmp_path: Path) -> None:
    url = site.url(transport, "/[1-40]")
    done = await curl(
        site, transport, "--parallel", "--parallel-max", "40", "-w", SHOWN, url, "-o", str(tmp_path / "#1")
    )
    lines = done.out.decode().split()
    assert lines[0::3] == ["2"] * 40
    assert lines[1::3] == ["200"] * 40
    assert sum(map(int, lines[2::3])) <= 2  # curl may open a second one before it knows of streams
    assert {path.read_text() for path in tmp_path.iterdir()} == {NOTHING}
    assert len(list(tmp_path.iterdir())) == 40


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_curl_downloads(site: Site, transport: str) -> None:
    done = await curl(site, transport, site.url(transport, "/large"))
    assert done.out == LARGE


@pytest.mark.parametrize("transport", in_parallel())
async def test_curl_downloads_several_at_once(site: Site, transport: str, tmp_path: Path) -> None:
    url = site.url(transport, "/large")
    places = [word for n in range(3) for word in ("-o", str(tmp_path / str(n)), url)]
    await curl(site, transport, "--parallel", *places)
    assert [path.read_bytes() == LARGE for path in tmp_path.iterdir()] == [True] * 3


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_curl_uploads(site: Site, transport: str, tmp_path: Path) -> None:
    """RFC 9110 §10.1.1: curl asks whether it may send so much, and waits for 100."""
    (tmp_path / "file").write_bytes(UPLOAD)
    done = await curl(
        site, transport, "-v", "-T", str(tmp_path / "file"), "-H", "Expect: 100-continue",
        "--expect100-timeout", "40", site.url(transport, "/put"),
    )  # fmt: skip
    assert done.out.decode() == hashlib.sha256(UPLOAD).hexdigest()
    assert re.search(r"< HTTP/2 100", done.errors), done.errors
    request, body = site.origin.requests[-1]
    assert (request.method, len(body)) == (b"PUT", len(UPLOAD))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_curl_uploads_without_a_length(site: Site, transport: str) -> None:
    how = ("--http2", "--cacert", str(site.authority)) if transport == "tls" else ("--http2-prior-knowledge",)
    done = await run(
        "curl", "-sS", "--max-time", "50", *how, "-T", "-", site.by_address(transport, "/put"), given=UPLOAD
    )  # fmt: skip
    assert (done.code, done.out.decode()) == (0, hashlib.sha256(UPLOAD).hexdigest()), done.errors


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_curl_asks_for_the_head_alone(site: Site, transport: str) -> None:
    done = await curl(site, transport, "-I", site.url(transport, "/large"))
    assert done.out.startswith(b"HTTP/2 200")
    assert b"content-length: %d\r\n" % len(LARGE) in done.out
    assert b"x-method: HEAD\r\n" in done.out


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_curl_sees_trailers(site: Site, transport: str) -> None:
    done = await curl(site, transport, "-D", "-", site.url(transport, "/trailers"))
    head, _, rest = done.out.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/2 200")
    assert rest.startswith(b"hello")
    assert b"x-sum: 5d41" in rest


async def test_curl_without_http2_speaks_http1(site: Site) -> None:
    """Both protocols at one port: ALPN decides, and the first bytes in the clear."""
    for transport in TRANSPORTS:
        done = await run(
            "curl", "-sS", "--max-time", "50", "--http1.1", "--cacert", str(site.authority), "-w", SHOWN,
            site.by_address(transport, "/x"),
        )  # fmt: skip
        assert done.out.decode() == f"{NOTHING}\n1.1 200 1\n", done.errors


@needs_nghttp
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("table", ["4096", "0"])
async def test_nghttp_sees_our_frames(site: Site, transport: str, table: str) -> None:
    """With a table of 0, nghttp refuses header blocks that do not take note of it."""
    options = ("-nv", "--no-verify-peer", "--header-table-size=" + table)
    done = await run("nghttp", *options, site.by_address(transport, "/x"))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", done.out.decode())
    assert done.code == 0, done.errors
    received = re.findall(r"recv (?:\(stream_id=\d+\) )?(:?\w+)", shown)
    for wanted in ("SETTINGS", "WINDOW_UPDATE", ":status", "HEADERS", "DATA"):
        assert wanted in received, shown
    assert re.search(r"recv SETTINGS frame <length=\d+, flags=0x01", shown), shown
    assert not {"RST_STREAM", "PUSH_PROMISE", "PRIORITY"} & set(received), shown


@needs_nghttp
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_nghttp_with_padding_trailers_and_continuation(
    site: Site, transport: str, tmp_path: Path
) -> None:
    """nghttp pads its HEADERS, makes them long enough for CONTINUATION, and ends an upload by trailers."""
    (tmp_path / "file").write_bytes(UPLOAD)
    done = await run(
        "nghttp", "--no-verify-peer", "-b", "200", "--continuation", "-d", str(tmp_path / "file"),
        "--trailer", "x-end: yes", site.by_address(transport, "/post"),
    )  # fmt: skip
    assert done.code == 0, done.errors
    assert done.out.decode() == hashlib.sha256(UPLOAD).hexdigest(), done.errors
    request, _ = site.origin.requests[-1]
    assert request.method == b"POST"


@needs_nghttp
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_nghttp_with_small_windows(site: Site, transport: str) -> None:
    """The windows hold 1 KiB of the stream, and 16 KiB of the connection, which is not more than 65,535."""
    done = await run(
        "nghttp", "--no-verify-peer", "-w", "10", "-W", "14", site.by_address(transport, "/large")
    )
    assert done.code == 0, done.errors
    assert done.out == LARGE


@needs_h2load
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_h2load_loses_no_request(site: Site, transport: str) -> None:
    url = site.by_address(transport, "/x")
    done = await run("h2load", f"-n{REQUESTS}", f"-c{CONNECTIONS}", f"-m{STREAMS}", url)
    assert done.code == 0, done.errors
    shown = done.out.decode()
    assert (
        f"requests: {REQUESTS} total, {REQUESTS} started, {REQUESTS} done, {REQUESTS} succeeded, 0 failed,"
        " 0 errored, 0 timeout"
    ) in shown, shown
    assert f"status codes: {REQUESTS} 2xx" in shown
    site.origin.forget()


@needs_h2load
async def test_h2load_agrees_on_h2(site: Site) -> None:
    done = await run("h2load", "-n8", "-c1", site.by_address("tls", "/x"))
    assert "Application protocol: h2" in done.out.decode()


@needs_h2
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_httpx(site: Site, transport: str) -> None:
    is_tls = transport == "tls"
    async with httpx.AsyncClient(
        http1=is_tls, http2=True, verify=site.context, trust_env=False, timeout=DEADLINE_S
    ) as client:
        url = site.by_address(transport, "/x")
        answers = await asyncio.gather(*(client.get(url) for _ in range(50)))
        assert {(each.http_version, each.status_code, each.text) for each in answers} == {
            ("HTTP/2", 200, NOTHING)
        }
        large = await client.get(site.by_address(transport, "/large"))
        assert large.content == LARGE
        sent = await client.post(url, content=UPLOAD)
        assert sent.text == hashlib.sha256(UPLOAD).hexdigest()
        head = await client.head(url)
        assert (head.status_code, head.headers["x-method"], head.content) == (200, "HEAD", b"")
    site.origin.forget()


@needs_openssl
@pytest.mark.parametrize(
    ("offered", "chosen"), [("h2", "h2"), ("http/1.1,h2", "h2"), ("http/1.1", "http/1.1")]
)
async def test_openssl_agrees_on_a_protocol(site: Site, offered: str, chosen: str) -> None:
    done = await run(
        "openssl", "s_client", "-connect", f"127.0.0.1:{site.ports['tls']}", "-servername", HOST, "-alpn",
        offered, "-CAfile", str(site.authority), "-verify_return_error",
    )  # fmt: skip
    shown = done.out.decode(errors="replace")
    assert f"ALPN protocol: {chosen}" in shown, shown + done.errors
    assert "Verify return code: 0 (ok)" in shown


async def test_the_endpoint_saw_nothing_but_http1(site: Site) -> None:
    assert not any(connection.broken for connection in site.origin.connections)
    assert {request.http_version for request, _ in site.origin.requests} <= {b"1.1"}
