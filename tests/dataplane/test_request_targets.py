"""What of a request target reaches the endpoint, and which server it names."""

import json
from pathlib import Path

import msgspec
import pytest

from proxy.model.actions import Redirect
from proxy.model.policies import Policies, Rewrite
from proxy.model.snapshot import Listener, Snapshot
from tests.dataplane.conftest import Connect
from tests.support.origin import Origin, header
from tests.support.policies import policed
from tests.support.requests import request
from tests.support.snapshots import route, service, snapshot, source
from tests.support.waiting import until
from tests.support.worker import WorkerProcess


def two_rules(port: int, public: Origin, admin: Origin) -> Snapshot:
    return Snapshot(
        1,
        (Listener(port, source(), address="127.0.0.1"),),
        (
            route(port, "/public", to="demo/public:80"),
            route(port, "/admin", to="demo/admin:80"),
            route(port, "/", host="other.example", to="demo/admin:80"),
        ),
        (
            service({"c1": [public.address]}, "demo/public:80"),
            service({"c1": [admin.address]}, "demo/admin:80"),
        ),
    )


@pytest.mark.parametrize(
    ("target", "forwarded"),
    [
        ("/public/https://a.example//x", b"/public/https://a.example//x"),
        ("/public//a///b//", b"/public//a///b//"),
        ("/public/a//../b", b"/public/a/b"),
        ("/public//%2e%2e/./%7Eb", b"/public/~b"),
        ("/public/%2F", b"/public/%2F"),
        ('/public?a=\\b|"^{}<>`//../%zz', b'/public?a=\\b|"^{}<>`//../%zz'),
        ("//public/a", b"/public/a"),
        ("http://demo.example//public//a?b\\", b"/public//a?b\\"),
        ("//public//b", b"/public//b"),
    ],
)
async def test_a_target_reaches_the_endpoint_as_it_came(
    worker: WorkerProcess, port: int, connect: Connect, target: str, forwarded: bytes
) -> None:
    async with Origin() as public, Origin() as admin:
        await worker.apply(two_rules(port, public, admin))
        client = await connect()
        for _ in range(3):  # the third time it is remembered
            await client.send(request(target))
            assert (await client.response())[0] == 200
        assert [asked.target for asked, _ in public.requests] == [forwarded] * 3
        assert admin.requests == []


@pytest.mark.parametrize(
    "target", ["/public/..;/admin", "/public/..%2fadmin", "/public%2f..%2fadmin", "/admin;x/y"]
)
async def test_a_path_that_reads_as_that_of_another_rule_is_refused(
    worker: WorkerProcess, port: int, connect: Connect, target: str
) -> None:
    async with Origin() as public, Origin() as admin:
        made = two_rules(port, public, admin)
        rest = route(port, "/", to="demo/public:80")
        await worker.apply(msgspec.structs.replace(made, routes=(*made.routes, rest)))
        client = await connect()
        await client.send(request(target))
        status, fields, body = await client.response()
        assert (status, fields["connection"]) == (400, "close")
        assert b"path" in body
        assert await client.until_closed() == b""
        assert public.requests == admin.requests == []


async def test_rewrites_see_merged_slashes_and_others_keep_them(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        await worker.apply(policed(port, origin))
        client = await connect()
        for version, (rewrite, target) in enumerate(
            (
                (Rewrite(path="/v1${path}"), b"/v1/a/b?c=//"),
                (Rewrite(query="${query}&d"), b"/a//b?c=//&d"),
                (Rewrite(host="b.example"), b"/a//b?c=//"),
            ),
            2,
        ):
            await worker.apply(policed(port, origin, policies=Policies(rewrite=rewrite), version=version))
            await client.send(request("/a//b?c=//"))
            assert (await client.response())[0] == 200
            assert origin.requests[-1][0].target == target


async def test_a_redirect_keeps_slashes_inside_the_path(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    await worker.apply(policed(port, action=Redirect(status=308, protocol="https", port="443")))
    client = await connect()
    for target, location in (
        ("/img/https://a.example//x?y", "https://demo.example/img/https://a.example//x?y"),
        ("//evil.example//x", "https://demo.example/evil.example//x"),
    ):
        await client.send(request(target))
        assert (await client.response())[1]["location"] == location


ABSOLUTE = [
    ("GET http://other.example/x HTTP/1.1", b"/x", b"other.example"),
    ("GET http://other.example:8080/x HTTP/1.1", b"/x", b"other.example:8080"),
    ("GET HTTP://OTHER.example HTTP/1.1", b"/", b"OTHER.example"),
    ("GET http://other.example?q HTTP/1.1", b"/?q", b"other.example"),
    ("GET http://other.example/x HTTP/1.0", b"/x", b"other.example"),
    ("OPTIONS http://other.example HTTP/1.1", b"*", b"other.example"),
    ("OPTIONS http://other.example?q HTTP/1.1", b"/?q", b"other.example"),
    ("OPTIONS http://other.example/ HTTP/1.1", b"/", b"other.example"),
]


@pytest.mark.parametrize(("line", "target", "host"), ABSOLUTE)
@pytest.mark.parametrize("field", ["Host: demo.example\r\n", ""])
async def test_the_server_of_an_absolute_target_counts_and_host_does_not(
    tmp_path: Path, port: int, connect: Connect, line: str, target: bytes, host: bytes, field: str
) -> None:
    log = tmp_path / "access.log"
    async with WorkerProcess(str(log)) as worker, Origin() as public, Origin() as admin:
        await worker.apply(two_rules(port, public, admin))
        for _ in range(3):
            client = await connect()
            await client.send(f"{line}\r\n{field}\r\n".encode())
            if not field and line.endswith("1.1"):  # RFC 9112 §3.2: it must be there, and is ignored
                assert (await client.response())[0] == 400
                return
            assert (await client.response())[0] == 200
        assert public.requests == []
        seen = [asked for asked, _ in admin.requests] + admin.probes  # where `OPTIONS *` is kept
        seen = [asked for asked in seen if header(asked, b"x-forwarded-host")]
        assert [asked.target for asked in seen] == [target] * 3
        for asked in seen:
            assert header(asked, b"host") == header(asked, b"x-forwarded-host") == [host]
        await until(lambda: log.read_text().count("\n") == 3)
        assert {json.loads(line)["host"] for line in log.read_text().splitlines()} == {host.decode()}


async def test_an_https_target_is_served_for_a_trusted_proxy_that_says_https(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        await worker.apply(msgspec.structs.replace(plain, trusted_proxies=("127.0.0.2",)))
        raw = "GET https://other.example/x HTTP/1.1\r\nHost: demo.example\r\n{}\r\n"
        for peer, said, expected in (
            ("127.0.0.2", "X-Forwarded-Proto: https\r\n", 200),
            ("127.0.0.2", "X-Forwarded-Proto: http\r\n", 400),
            ("127.0.0.2", "", 400),
            ("127.0.0.3", "X-Forwarded-Proto: https\r\n", 400),
            ("127.0.0.3", "", 400),
        ):
            client = await connect(source=peer)
            await client.send(raw.format(said).encode())
            status, _, body = await client.response()
            assert status == expected
            if expected == 400:
                assert b"https URL" in body
                assert await client.until_closed() == b""
        [(asked, _)] = origin.requests
        assert (asked.target, header(asked, b"host")) == (b"/x", [b"other.example"])


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"\x16", b"TLS"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 300, b"TLS"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"TLS"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PROXY"),
        (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", b"PROXY"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", b"SSH"),
        (b"SSH-2.0-OpenSSH_9.6p1 Debian", b"SSH"),
        (b"\x80\x2e\x01\x00\x02", b"no HTTP request"),
        (b"AMQP\x00\x00\x09\x01", b"no HTTP request"),
        (b"GET /" + b"a" * 100 + b"\x00", b"forbidden character"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00", b"forbidden character"),
    ],
)
async def test_another_protocol_is_told_so_at_once(
    worker: WorkerProcess, port: int, connect: Connect, raw: bytes, word: bytes
) -> None:
    await worker.apply(snapshot(port, {}))
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        client = await connect()
        await client.send(*pieces)
        status, fields, body = await client.response()
        assert (status, fields["connection"]) == (400, "close")
        assert word in body
        assert await client.until_closed() == b""
