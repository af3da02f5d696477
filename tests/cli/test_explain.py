"""`fleetgate explain` as users start it: from files, and from a gateway's admin API."""

import asyncio
import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from msgspec.structs import replace as replaced

from controlplane.observe.absences import REASONS
from loadtest.ports import free_port
from tests.admin.test_api import Fixed
from tests.admin.test_explain import SNAPSHOT
from tests.cli.asking import admin, fleetgate
from tests.files.test_check import GATEWAY, INGRESS, SERVICE
from tests.support.states import serving, stats

GRAY = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: gray
  annotations:
    alb.ingress.kubernetes.io/conditions.web: >-
      [{"type": "Header", "headerConfig": {"key": "stage", "values": ["gray"]}}]
spec:
  ingressClassName: alb
  rules:
    - host: shop.demo
      http: {paths: [{path: /cart, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
"""


@pytest.fixture
def manifests(tmp_path: Path) -> str:
    (tmp_path / "all.yaml").write_text("---\n".join((GATEWAY, INGRESS, GRAY)))
    return str(tmp_path)


async def test_files_are_explained_without_a_gateway(manifests: str) -> None:
    done = await fleetgate("explain", "GET", "http://shop.demo/cart/7", "-H", "Stage: gray", "-f", manifests)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "request    GET /cart/7  from 127.0.0.1",
        "listener   HTTP :80  AlbConfig gw",
        "host       shop.demo  2 routes match",
        " #1  MATCH shop.demo  /cart prefix  Ingress default/gray  if header stage=gray  <- chosen",
        " #2  lost  *          / prefix      Ingress default/web   <- matches, but its host is less specific",
        "policies   timeout 60s (listener)",
        "backend    default/web:80  100 %",
        "split      c1  c2  (by endpoints)",
        "endpoints  not known: give the objects of the clusters with --member ID=PATH",
        "snapshot   from files",
    ]


async def test_members_of_files_have_shares_and_endpoints(manifests: str, tmp_path: Path) -> None:
    (tmp_path / "c1").mkdir()
    (tmp_path / "c1" / "a.yaml").write_text(
        SERVICE + "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {name: web-x, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n"
        "ports: [{port: 8080}]\nendpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}]\n"
    )
    (tmp_path / "c2").mkdir()
    (tmp_path / "c2" / "a.yaml").write_text(SERVICE)
    members = [f"--member=c{number}={tmp_path}/c{number}" for number in (1, 2)]
    done = await fleetgate("explain", "GET", "http://a/", "-f", f"{manifests}/all.yaml", *members)
    assert "split      c1 100 %  c2 0 %  (by endpoints)" in done.out.splitlines()
    assert "order      c1" in done.out.splitlines()
    assert (
        "endpoints  c1: 2 healthy; least_request among  10.0.0.1:8080  10.0.0.2:8080" in done.out.splitlines()
    )


async def test_files_are_explained_with_the_options_of_the_gateway(manifests: str, tmp_path: Path) -> None:
    other = GRAY.replace("name: gray", "name: gray\n  namespace: shop").replace("/cart", "/basket")
    (tmp_path / "all.yaml").write_text("---\n".join((GATEWAY, INGRESS, GRAY, other)))
    asked = ("explain", "GET", "http://shop.demo/basket", "-H", "stage: gray", "-f", manifests)
    assert "Ingress shop/gray" in (await fleetgate(*asked)).out
    owned = await fleetgate(*asked, "--host-ownership", "namespace")
    assert "refused    Ingress shop/gray  error FG0715" in owned.out


async def test_no_route_names_the_nearest_miss_and_exits_1(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GRAY)
    done = await fleetgate("explain", "GET", "http://shop.demo/cat", "-f", str(tmp_path))
    assert done.code == 1
    assert (
        "answer     404: no route takes this request; the nearest is Ingress default/gray:"
        ' path differs at "t"; header stage=gray does not hold: it has none'
    ) in done.out.splitlines()


async def test_cookies_are_headers(manifests: str) -> None:
    done = await fleetgate(
        "explain",
        "GET",
        "http://a/",
        "--cookie",
        "a=1",
        "-f",
        manifests,
        "-o",
        "json",
        "--client",
        "10.9.8.7",
    )
    document = json.loads(done.out)
    assert (document["apiVersion"], document["kind"]) == ("fleetgate.io/v1", "Explanation")
    assert document["request"]["client"] == "10.9.8.7"
    assert document["chosen"] == "default/web/*/"


async def test_a_running_gateway_is_asked() -> None:
    states = {"cluster-1": "ejected", "cluster-2": "healthy", "cluster-3": "healthy"}
    state = replace(serving(stats(10, states)), snapshot=SNAPSHOT)
    async with admin(Fixed(state)) as address:
        done = await fleetgate("explain", "GET", "http://shop.demo/cart", "--admin", address)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[1] == (
        "listener   HTTP :8001  AlbConfig gw gen 7  (no listener on port 80; asked on port 8001 instead)"
    )
    for line in (
        "split      cluster-1 80 % -> 0 %  cluster-2 20 % -> 100 %  cluster-3 standby  (by weights)",
        "           cluster-1 endpoints_failing: " + REASONS["endpoints_failing"],
        "           cluster-2 takes_over: the cluster gets the shares that others do not take",
        "order      cluster-2, cluster-3, cluster-1",
        "endpoints  cluster-1: 1 ejected; least_request among  10.0.0.1:8080 (1 in flight)",
        "snapshot   v7 applied 50s ago on 1/1 workers",
        "           cluster-1 current 2s ago",
    ):
        assert line in lines, done.out


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("GET", "http://", "-f", "-"), 2, "fleetgate: 'http://' is no URL"),
        (("GET", "http://a", "-H", "stage", "-f", "-"), 2, "fleetgate: -H 'stage' is not 'NAME: VALUE'"),
        (("GET", "http://a", "--client", "x", "-f", "-"), 2, "fleetgate: 'x' is no address of a client"),
        (("GET", "http://a/\udcff", "-f", "-"), 2, "fleetgate: 'http://a/\\udcff' is not UTF-8;"),
        (("GET", "http://a", "-f", "missing"), 2, "fleetgate: missing: no such file"),
        (("GET", "http://a", "--admin", "127.0.0.1:x"), 2, "fleetgate: --admin '127.0.0.1:x' is no address"),
    ],
)
async def test_wrong_usage_is_one_line(args: tuple[str, ...], code: int, said: str) -> None:
    done = await fleetgate("explain", *args)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(said)
    assert done.err.count("\n") == 1


async def test_no_timeout_is_not_one_of_no_seconds() -> None:
    unlimited = replaced(SNAPSHOT, listeners=(replaced(SNAPSHOT.listeners[0], response_timeout_s=0.0),))
    async with admin(Fixed(replace(serving(), snapshot=unlimited))) as address:
        done = await fleetgate("explain", "GET", "http://shop.demo/cart", "--admin", address)
    assert "policies   timeout none (listener)" in done.out.splitlines()


async def test_a_gateway_that_does_not_answer_is_one_line_and_exit_3() -> None:
    address = f"127.0.0.1:{free_port()}"
    done = await fleetgate("explain", "GET", "http://a", "--admin", address)
    assert done.code == 3
    assert done.err.startswith(f"fleetgate: admin API {address} does not answer: ")
    assert done.err.count("\n") == 1
    async with admin(Fixed(serving(snapshot=None))) as address:
        done = await fleetgate("explain", "GET", "http://a", "--admin", address)
    assert done.code == 3
    assert "answers 503: /readyz says what is missing" in done.err


@pytest.mark.parametrize("body", ["hi", "[]", '{"status": "fine"}'])
@pytest.mark.parametrize("verb", [("explain", "GET", "http://a"), ("diff", "-f", "-")])
async def test_another_server_is_no_admin_api(verb: tuple[str, ...], body: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        done = await fleetgate(*verb, "--admin", f"127.0.0.1:{port}", stdin=INGRESS)
    assert done.code == 3
    assert done.err == f"fleetgate: 127.0.0.1:{port} is no admin API; give --admin HOST:PORT\n"
