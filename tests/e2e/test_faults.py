"""In each dialect: an Ingress full of faults tells each of them with kubectl, and nobody else notices.

Also what the documents' overview promises of backends and listeners: HTTPS, and what is not there yet.
"""

import base64
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loadtest.ports import free_port
from tests.support.certificates import Authority
from tests.support.demo import until
from tests.support.seeds import Seeds, ask, looping

pytestmark = pytest.mark.xdist_group("seeds")

HOST = "host: faults.example.com"
NAMESPACE = "web-demo"
ALB = "alb.ingress.kubernetes.io/"
MSE = "mse.ingress.kubernetes.io/"
NGINX = "nginx.ingress.kubernetes.io/"
OWN = "fleetgate.io/"
REFUSED = "the gateway speaks HTTP/1.1 to endpoints"


@dataclass(frozen=True)
class Dialect:
    """Every entry of `faults`, annotations, is one; `protocols` are what the overview has for backends."""

    ingress_class: str
    gateway: str
    protocols: tuple[str, ...]
    faults: dict[str, str]


DIALECTS = {
    "alb": Dialect(
        "alb",
        "albconfig/ackone-gateway-demo",
        ("https", "grpc"),
        {
            ALB + "order": "0",
            ALB + "cluster-weight.cluster-1": "a third",
            ALB + "cluster-weight.cluster-8": "120",
            ALB + "listen-ports": '[{"HTTP": 70000}]',
            ALB + "conditions.service1": '[{"type": "Headr"}]',
            ALB + "conditions.nobody": "[]",
            ALB + "actions.service1": "not JSON",
            ALB + "traffic-limit-qps": "many",
            ALB + "enable-cors": "yes",
            ALB + "backend-protocol": "grpc",
            ALB + "cluster-wieght.cluster-1": "50",
            OWN + "failover": "never",
        },
    ),
    "mse": Dialect(
        "mse",
        "mseingressconfig/ackone-gateway",
        ("HTTP2", "HTTPS", "GRPC", "GRPCS"),
        {
            MSE + "timeout": "soon",
            MSE + "subset-labels": "topology.istio.io/cluster",
            MSE + "match-method": "FETCH",
            MSE + "regex-match-header-stage": "(gray",
            NGINX + "canary": "perhaps",
            NGINX + "canary-wieght": "10",
            NGINX + "proxy-next-upstream-tries": "101",
            NGINX + "whitelist-source-range": "10.0.0.0/33",
            NGINX + "temporal-redirect": "ftp://example.org/",
            NGINX + "affinity": "ip",
            NGINX + "backend-protocol": "GRPCS",
            OWN + "failover": "never",
        },
    ),
}


def ingress(name: str, path: str, ingress_class: str, annotations: dict[str, str]) -> dict[str, Any]:
    backend = {"service": {"name": "service1", "port": {"number": 80}}}
    paths = [{"path": path, "pathType": "Prefix", "backend": backend}]
    rule = {"host": HOST.removeprefix("host: "), "http": {"paths": paths}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        "spec": {"ingressClassName": ingress_class, "rules": [rule]},
    }


def applied(seeds: Seeds, *manifests: dict[str, Any]) -> AbstractContextManager[None]:
    return seeds.present(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))


def events(seeds: Seeds, thing: str) -> str:
    return seeds.kubectl("-n", NAMESPACE, "describe", thing).partition("Events:")[2]


def addresses(seeds: Seeds, name: str) -> list[Any]:
    path = "-ojsonpath={.status.loadBalancer.ingress}"
    found: list[Any] = json.loads(seeds.kubectl("-n", NAMESPACE, "get", f"ingress/{name}", path) or "[]")
    return found


@pytest.fixture(params=[*DIALECTS.values()], ids=[*DIALECTS])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    chosen: Dialect = request.param
    return chosen


@pytest.fixture
def address(seeds: Seeds, dialect: Dialect) -> Iterator[str]:
    """The address of the gateway, with an Ingress on it that has no fault."""
    address = seeds.alb if dialect.ingress_class == "alb" else seeds.mse
    with applied(seeds, ingress("sound", "/", dialect.ingress_class, {})):
        until(lambda: is_served(address), "the other Ingress is served")
        yield address


def is_served(address: str) -> bool:
    return ask(f"{address}/", 8, HOST) == {"cluster1": 4, "cluster2": 4}


def test_every_fault_is_an_event_and_the_other_ingress_is_served_as_before(
    seeds: Seeds, dialect: Dialect, address: str
) -> None:
    faulty = ingress("faulty", "/faulty", dialect.ingress_class, dialect.faults)
    with looping(f"{address}/", HOST) as others, applied(seeds, faulty):
        until(lambda: not untold(seeds, dialect), "an Event for every fault")
        assert "Synced" not in events(seeds, "ingress/faulty")
        assert addresses(seeds, "faulty") == []
        until(lambda: len(others.answers) >= 100, "the other one is asked all the time")
        answers = Counter(others.answers)
        assert set(answers) == {"cluster1", "cluster2"}
        assert abs(answers["cluster1"] - answers["cluster2"]) <= 1
        assert [entry["ip"] for entry in addresses(seeds, "sound")] == ["127.0.0.1"]
        assert "Warning" not in events(seeds, "ingress/sound")


def untold(seeds: Seeds, dialect: Dialect) -> set[str]:
    """Return the faults that no Event names."""
    told = events(seeds, "ingress/faulty")
    return {key for key in dialect.faults if f"metadata.annotations[{key}]" not in told}


def test_an_ingress_becomes_faulty_and_sound_again(seeds: Seeds, dialect: Dialect, address: str) -> None:
    # These two would close the Ingress, see tests/gateway/test_closed.py
    protecting = (NGINX + "whitelist-source-range", MSE + "match-method")
    faults = {key: value for key, value in dialect.faults.items() if key not in protecting}
    broken = ingress("sound", "/", dialect.ingress_class, faults)
    seeds.kubectl("apply", "-f", "-", stdin=json.dumps(broken))
    until(lambda: "the last good version stays live" in events(seeds, "ingress/sound"), "it is told")
    assert is_served(address)
    assert [entry["ip"] for entry in addresses(seeds, "sound")] == ["127.0.0.1"]
    mended = ingress("sound", "/mended", dialect.ingress_class, {})
    seeds.kubectl("apply", "-f", "-", stdin=json.dumps(mended))
    until(lambda: ask(f"{address}/", 5, HOST) == {"404": 5}, "what is applied next holds")
    assert ask(f"{address}/mended", 8, HOST) == {"cluster1": 4, "cluster2": 4}


def test_tls_of_an_ingress_is_told_and_its_rules_are_served_without(
    seeds: Seeds, dialect: Dialect, address: str
) -> None:
    secure = ingress("secure", "/secure", dialect.ingress_class, {})
    secure["spec"]["tls"] = [{"hosts": ["faults.example.com"], "secretName": "certificate"}]
    with applied(seeds, secure):
        until(lambda: "has no HTTPS listener" in events(seeds, "ingress/secure"), "it is told")
        assert ask(f"{address}/secure", 8, HOST) == {"cluster1": 4, "cluster2": 4}


def _is_refused(seeds: Seeds, thing: str) -> bool:
    return REFUSED in events(seeds, thing)


def test_endpoints_that_want_another_protocol_are_refused(
    seeds: Seeds, dialect: Dialect, address: str
) -> None:
    key = f"{ALB if dialect.ingress_class == 'alb' else NGINX}backend-protocol"
    # HTTPS is spoken to endpoints, see test_https_endpoints.py
    named = {name.lower(): name for name in dialect.protocols if name.lower() not in ("http", "https")}
    asking = [ingress(name, f"/{name}", dialect.ingress_class, {key: named[name]}) for name in named]
    with applied(seeds, *asking):
        for name in named:
            until(partial(_is_refused, seeds, f"ingress/{name}"), "it is told")
            assert addresses(seeds, name) == []
        assert is_served(address)


def test_a_quic_listener_is_told_and_those_of_http_stay_open(
    seeds: Seeds, dialect: Dialect, address: str
) -> None:
    port = free_port()
    ports = [("HTTP", int(address.rpartition(":")[2])), ("QUIC", port)]
    text = f"QUIC listeners are not supported yet; port {port} is not opened"
    try:
        listen(seeds, dialect, ports)
        until(lambda: text in events(seeds, dialect.gateway), "it is told")
        assert is_served(address)
        assert "Couldn't connect" in str(ask(f"127.0.0.1:{port}/", 1, HOST))
    finally:
        listen(seeds, dialect, ports[:1])


def test_an_https_listener_serves_the_certificate_of_a_secret(
    seeds: Seeds, dialect: Dialect, address: str, tmp_path: Path
) -> None:
    port, name = free_port(), HOST.removeprefix("host: ")
    authority = Authority()
    pair = authority.issue(name)
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    data = {
        key: base64.b64encode(value).decode()
        for key, value in (("tls.crt", pair.chain), ("tls.key", pair.key))
    }
    metadata = {"name": "certificate", "namespace": NAMESPACE}
    secret = {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data,
    }  # fmt: skip
    secure = ingress("secure", "/secure", dialect.ingress_class, {})
    secure["spec"]["tls"] = [{"hosts": [name], "secretName": "certificate"}]
    url = f"https://{name}:{port}/secure"
    place = ("--cacert", str(tmp_path / "ca.crt"), "--resolve", f"{name}:{port}:127.0.0.1")

    def answer() -> str:
        return subprocess.run(["curl", "-s", *place, url], capture_output=True, text=True, check=False).stdout

    try:
        with applied(seeds, secret, secure):
            listen(seeds, dialect, [("HTTP", int(address.rpartition(":")[2])), ("HTTPS", port)])
            until(lambda: "This is env" in answer(), "HTTPS")
            assert {answer()[:20] for _ in range(8)} == {"This is env cluster1", "This is env cluster2"}
    finally:
        listen(seeds, dialect, [("HTTP", int(address.rpartition(":")[2]))])


def listen(seeds: Seeds, dialect: Dialect, ports: list[tuple[str, int]]) -> None:
    if dialect.ingress_class == "alb":
        listeners = [{"protocol": protocol, "port": port} for protocol, port in ports]
        patch: dict[str, Any] = {"spec": {"listeners": listeners}}
    else:
        text = json.dumps([{protocol: port} for protocol, port in ports])
        patch = {"metadata": {"annotations": {"fleetgate.io/listeners": text}}}
    seeds.kubectl("patch", dialect.gateway, "--type=merge", "-p", json.dumps(patch))
