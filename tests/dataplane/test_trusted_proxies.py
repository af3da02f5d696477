"""X-Forwarded-* count only from trusted proxies; then endpoints and the log hear of the client."""

import json
from pathlib import Path

import h11
import msgspec
import pytest

from proxy.model.actions import FixedResponse as Fixed
from proxy.model.actions import Redirect
from proxy.model.channel import Nack
from proxy.model.conditions import SourceCondition
from proxy.model.limits import Limits
from proxy.model.policies import Access, HeaderChange, HeaderOperation, LimitScope, Policies, RateLimit
from tests.dataplane.conftest import Connect
from tests.dataplane.test_shares import named
from tests.support.origin import Origin, header
from tests.support.policies import policed
from tests.support.requests import request
from tests.support.snapshots import route, service, snapshot
from tests.support.waiting import until
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

SAID = "X-Forwarded-For: 1.1.1.1, 198.51.100.9\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 1.1.1.1\r\n"


def told(request: h11.Request) -> dict[str, list[bytes]]:
    names = ("x-forwarded-for", "x-forwarded-proto", "x-real-ip", "forwarded")
    return {name: values for name in names if (values := header(request, name.encode()))}


async def ask(client: RawClient, extra: str) -> None:
    await client.send(request(extra=extra))
    assert (await client.response())[0] == 200


async def test_only_trusted_proxies_are_believed(tmp_path: Path, port: int, connect: Connect) -> None:
    log = tmp_path / "access.log"
    async with WorkerProcess(str(log)) as worker, Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        await worker.apply(msgspec.structs.replace(plain, trusted_proxies=("127.0.0.2", "10.0.0.0/8")))
        proxy, stranger = await connect(source="127.0.0.2"), await connect(source="127.0.0.3")
        for client, extra in ((proxy, SAID), (proxy, ""), (stranger, SAID), (proxy, SAID)):
            await ask(client, extra)
        behind = {"x-forwarded-for": [b"198.51.100.9, 127.0.0.2"], "x-forwarded-proto": [b"https"]}
        assert [told(request) for request, _ in origin.requests] == [
            behind,
            {"x-forwarded-for": [b"127.0.0.2"], "x-forwarded-proto": [b"http"]},
            {"x-forwarded-for": [b"127.0.0.3"], "x-forwarded-proto": [b"http"]},
            behind,
        ]
        await until(lambda: log.read_text().count("\n") == 4)
        clients = [json.loads(line)["client"] for line in log.read_text().splitlines()]
        assert clients == ["198.51.100.9", "127.0.0.2", "127.0.0.3", "198.51.100.9"]


async def test_proxies_are_not_counted_by_address(worker: WorkerProcess, port: int, connect: Connect) -> None:
    async with Origin() as origin:
        plain = snapshot(port, {"c1": [origin.address]})
        limits = Limits(max_connections_per_address=1)
        await worker.apply(msgspec.structs.replace(plain, limits=limits, trusted_proxies=("127.0.0.2",)))
        for _ in range(3):
            await ask(await connect(source="127.0.0.2"), "")
        await ask(await connect(source="127.0.0.3"), "")
        assert (await (await connect(source="127.0.0.3")).response())[0] == 503


@pytest.mark.parametrize("network", ["10.0.0.0/33", "proxies"])
async def test_a_snapshot_with_a_proxy_that_is_no_network_is_not_applied(
    worker: WorkerProcess, port: int, network: str
) -> None:
    plain = snapshot(port, {})
    answer = await worker.apply(msgspec.structs.replace(plain, trusted_proxies=(network,)))
    assert isinstance(answer, Nack)
    assert network in answer.reason


UNREADABLE = (
    "",
    "unknown",
    "198.51.100.9, unknown",
    "198.51.100.9,",
    "[198.51.100.9]",
    "fe80::1%eth0",
    "a" * 4000,
)


@pytest.mark.parametrize(
    "policies",
    [
        Policies(access=Access(allow=("127.0.0.0/8", "198.51.100.0/24"))),
        Policies(access=Access(deny=("203.0.113.0/24",))),
    ],
)
async def test_an_unreadable_client_is_refused_by_allow_and_by_deny_lists(
    worker: WorkerProcess, port: int, connect: Connect, policies: Policies
) -> None:
    async with Origin() as origin:
        await worker.apply(policed(port, origin, policies=policies, trusted_proxies=("127.0.0.1",)))
        client = await connect()
        for said in UNREADABLE:
            await client.send(request(extra=f"X-Forwarded-For: {said}\r\n"))
            assert (await client.response())[0] == 403
        for said in (
            "198.51.100.9:4711",
            "[::ffff:198.51.100.9]:1",
            ", ".join(["1.1.1.1"] * 200 + ["198.51.100.9"]),
        ):
            await client.send(request(extra=f"X-Forwarded-For: {said}\r\n"))
            assert (await client.response())[0] == 200
        await client.send(request())  # without the field the proxy asks for itself
        assert (await client.response())[0] == 200


@pytest.mark.parametrize("access", [Access(allow=("127.0.0.0/8",)), Access(deny=("203.0.113.0/24",))])
async def test_an_unreadable_client_is_refused_by_the_lists_of_a_listener(
    worker: WorkerProcess, port: int, connect: Connect, access: Access
) -> None:
    async with Origin() as origin:
        await worker.apply(policed(port, origin, access=access, trusted_proxies=("127.0.0.1",)))
        client = await connect()
        for said in UNREADABLE:
            await client.send(request(extra=f"X-Forwarded-For: {said}\r\n"))
            assert (await client.response())[0] == 403


async def test_unreadable_clients_share_one_bucket_and_a_name_in_the_log(
    tmp_path: Path, port: int, connect: Connect
) -> None:
    log = tmp_path / "access.log"
    limit = RateLimit(1, Fixed(429), per_s=3600, scope=LimitScope.CLIENT)
    async with WorkerProcess(str(log)) as worker, Origin() as origin:
        policies = Policies(rate_limits=(limit,))
        await worker.apply(policed(port, origin, policies=policies, trusted_proxies=("127.0.0.1",)))
        client = await connect()
        statuses = []
        for said in (*UNREADABLE, "198.51.100.9:1", "198.51.100.9:2", "198.51.100.8"):
            await client.send(request(extra=f"X-Forwarded-For: {said}\r\n"))
            statuses.append((await client.response())[0])
        assert statuses == [200, *[429] * (len(UNREADABLE) - 1), 200, 429, 200]
        assert header(origin.requests[0][0], b"x-forwarded-for") == [b"unknown, 127.0.0.1"]
        await until(lambda: log.read_text().count("\n") == len(statuses))
        clients = [json.loads(line)["client"] for line in log.read_text().splitlines()]
        assert clients == [*["unknown"] * len(UNREADABLE), "198.51.100.9", "198.51.100.9", "198.51.100.8"]


async def test_no_condition_on_the_source_holds_for_an_unreadable_client(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin(named("plain")) as plain, Origin(named("near")) as near:
        near_only = route(
            port, name="near", conditions=(SourceCondition(("127.0.0.0/8", "0.0.0.0/0", "::/0")),),
            to="demo/near:80",
        )  # fmt: skip
        made = snapshot(port, {"c1": [plain.address]}, near_only, route(port))
        services = (*made.services, service({"c1": [near.address]}, "demo/near:80"))
        await worker.apply(msgspec.structs.replace(made, services=services, trusted_proxies=("127.0.0.1",)))
        client = await connect()
        for said in UNREADABLE:
            await client.send(request(extra=f"X-Forwarded-For: {said}\r\n"))
            assert (await client.response())[2] == b"plain"
        await client.send(request(extra="X-Forwarded-For: [2001:db8::1]:4711\r\n"))
        assert (await client.response())[2] == b"near"


SPOOFED = (
    "Forwarded", "Forwarded-For", "X-Forwarded", "X-Forwarded-Client-Cert", "X-Forwarded-Prefix",
    "X-Forwarded-Server", "X-Real-IP", "True-Client-IP", "Client-IP", "X-Client-IP", "X-Cluster-Client-IP",
    "Proxy-Client-IP", "WL-Proxy-Client-IP", "X-Remote-IP", "X-Remote-Addr", "X-Original-Forwarded-For",
    "X-Scheme", "X-Url-Scheme", "Front-End-Https", "X-Original-Proto", "X-Original-URL", "X-Original-URI",
    "X-Original-Host", "X-Original-Method", "X-Rewrite-URL", "X-Envoy-Internal", "X-Fleetgate-Mirror",
    "Proxy", "X-Forwarded-TLS-Client-Cert", "X-Client-Cert", "ssl-client-verify", "X-SSL-Client-DN",
)  # fmt: skip
VOUCHED = {
    "X-Forwarded-Prefix": "/shop", "X-Forwarded-Client-Cert": "Hash=1", "X-Forwarded-TLS-Client-Cert": "MII",
    "X-Client-Cert": "MII", "ssl-client-verify": "SUCCESS", "X-SSL-Client-DN": "CN=a",
}  # fmt: skip


async def test_fields_of_proxies_that_a_client_sends_reach_no_endpoint(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    async with Origin() as origin:
        await worker.apply(snapshot(port, {"c1": [origin.address]}))
        client = await connect()
        extra = "".join(f"{name}: 1.1.1.1\r\n" for name in SPOOFED)
        await client.send(request(extra=extra), request(extra=extra.lower()))
        for _ in range(2):
            assert (await client.response())[0] == 200
        for asked, _ in origin.requests:
            assert not {name.lower().encode() for name in SPOOFED} & {name for name, _ in asked.headers}


async def test_a_trusted_proxy_may_name_its_client_by_certificate(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    change = HeaderChange(HeaderOperation.SET, "X-Forwarded-Prefix", "/ours")
    async with Origin() as origin:
        await worker.apply(policed(port, origin, trusted_proxies=("127.0.0.2",)))
        proxy, stranger = await connect(source="127.0.0.2"), await connect(source="127.0.0.3")
        fields = "".join(f"{name}: {value}\r\n" for name, value in VOUCHED.items())
        for number in range(6):  # new, remembered, and with one new line among those that are remembered
            for client in (proxy, stranger):
                await ask(client, f"{fields}X-Trace: {max(number - 3, 0)}\r\n")
        for place, (asked, _) in enumerate(origin.requests):
            said = {name: header(asked, name.lower().encode()) for name in VOUCHED}
            assert said == {n: [v.encode()] if place % 2 == 0 else [] for n, v in VOUCHED.items()}
        await ask(proxy, f"Connection: ssl-client-verify\r\n{fields}")
        assert header(origin.requests[-1][0], b"ssl-client-verify") == []
        changing = policed(
            port,
            origin,
            policies=Policies(request_headers=(change,)),
            version=2,
            trusted_proxies=("127.0.0.2",),
        )
        await worker.apply(changing)
        await ask(proxy, fields)
        assert header(origin.requests[-1][0], b"x-forwarded-prefix") == [b"/ours"]


async def test_only_what_came_by_http_is_redirected_to_https(
    worker: WorkerProcess, port: int, connect: Connect
) -> None:
    policies = Policies(to_https=Redirect(308, protocol="https", port="443"))
    async with Origin() as origin:
        await worker.apply(policed(port, origin, policies=policies, trusted_proxies=("127.0.0.2",)))
        proxy, stranger = await connect(source="127.0.0.2"), await connect(source="127.0.0.3")
        by_http, by_https = "X-Forwarded-Proto: http\r\n", "X-Forwarded-Proto: https\r\n"
        for client, extra, expected in (
            (proxy, by_https, 200), (proxy, by_http, 308), (proxy, "", 308), (stranger, by_https, 308),
        ):  # fmt: skip
            await client.send(request("/a?b", extra=extra))
            status, fields, _ = await client.response()
            assert status == expected
            assert fields.get("location") == ("https://demo.example/a?b" if status == 308 else None)
        assert len(origin.requests) == 1
