"""Every proxy of the comparison does the same work: checked with its own checker and with real requests."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest

from loadtest.compare import backend
from loadtest.compare.peers import Checkable, Peer, envoy, haproxy, nginx
from loadtest.compare.rows import SIZES, Origin
from loadtest.kit import certificate
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.programs import Missing
from loadtest.kit.site import HOST, PREFIX, Site, free_clusters
from loadtest.ports import free_ports

CORE = min(os.sched_getaffinity(0))
FIND: dict[str, Callable[[], Peer]] = {
    "nginx": nginx.find,
    "haproxy": haproxy.find,
    "envoy": envoy.find,
    "fleetgate": lambda: Fleetgate("fleetgate", sys.executable),
}


def found(name: str) -> Peer:
    try:
        return FIND[name]()
    except Missing as reason:
        pytest.skip(str(reason))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "proxy").mkdir()
    return Site(tmp_path / "proxy", free_ports(1)[0], free_clusters())


@pytest.fixture(params=FIND)
def client(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the proxy, behind which are the backends of the comparison."""
    found("nginx")
    peer = found(request.param)
    with backend.started(Origin.FILES, site.backends, tmp_path, (CORE,)):
        running = peer.start(site, CORE)
        try:
            url = f"http://127.0.0.1:{site.port}"
            with httpx.Client(base_url=url, headers={"Host": HOST}, trust_env=False) as client:
                yield client
        finally:
            running.stop()


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("name", ["nginx", "haproxy", "envoy"])
def test_the_peer_accepts_its_configuration(name: str, tls: bool, http2: bool, site: Site) -> None:
    peer: Checkable = found(name)  # type: ignore[assignment]
    site = replace(site, tls=certificate.made(site.directory, HOST) if tls else None, http2=http2)
    done = subprocess.run(peer.check_command(site), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_answers_come_whole(client: httpx.Client) -> None:
    for name, size in SIZES.items():
        answer = client.get(f"{PREFIX}/{name}?x=1")
        assert (answer.status_code, len(answer.content)) == (200, size)


def test_other_hosts_and_paths_are_not_found(client: httpx.Client) -> None:
    assert client.get(f"{PREFIX}0").status_code == 404
    assert client.get("/").status_code == 404
    assert client.get(f"{PREFIX}/90B", headers={"Host": "other.example"}).status_code == 404


def test_headers_are_added(client: httpx.Client) -> None:
    _, client_address, scheme, host, identity = client.get(f"{PREFIX}/echo").text.split("|")
    assert (scheme, host) == ("http", HOST)
    assert ip_address(client_address)  # Envoy writes the machine's own address for one of the loopback
    assert len(identity) >= 16


def test_a_fifth_goes_to_cluster_1_and_all_with_the_header_to_cluster_2(
    client: httpx.Client, site: Site
) -> None:
    cluster_of = {str(port): name for name, pair in site.clusters.items() for port in pair}

    def asked(headers: dict[str, str], count: int) -> Counter[str]:
        answers = (client.get(f"{PREFIX}/echo", headers=headers).text for _ in range(count))
        return Counter(cluster_of[answer.partition("|")[0]] for answer in answers)

    assert 20 <= asked({}, 200)["cluster-1"] <= 65  # Envoy draws lots: four standard deviations
    assert asked({"stage": "gray"}, 50) == {"cluster-2": 50}


def test_a_503_is_tried_again_elsewhere(client: httpx.Client) -> None:
    answers = Counter(client.get(f"{PREFIX}/flaky").status_code for _ in range(40))
    assert answers == {200: 40}


def test_the_access_log_is_json(client: httpx.Client, site: Site) -> None:
    client.get(f"{PREFIX}/90B", headers={"User-Agent": 'quo"te'})
    deadline = time.monotonic() + 15  # Envoy writes after ten seconds, or 64 KiB
    while time.monotonic() < deadline and "/90B" not in site.access_log.read_text():
        for _ in range(100):
            client.get(f"{PREFIX}/90B", headers={"User-Agent": 'quo"te'})
    lines = [
        json.loads(line) for line in site.access_log.read_text().splitlines(keepends=True) if line[-1] == "\n"
    ]
    line = next(line for line in lines if line["path"] == f"{PREFIX}/90B")
    assert (line["method"], line["host"], line["ua"], line["status"]) == ("GET", HOST, 'quo"te', 200)
    assert line["client"] == "127.0.0.1"
    assert int(line["endpoint"].rpartition(":")[2]) in site.backends
