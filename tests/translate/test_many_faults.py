"""One Ingress with twenty faults: a finding for each, and nothing of it reaches any other Ingress."""

from typing import Any, NamedTuple

import pytest

from controlplane.translate.annotations.guards import GUARDS, PROTECTING
from controlplane.translate.builder import translate
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.model import Facts, LastGood, Translation
from tests.support.translation import Manifest, deployed, fleet_of, gateway, member_of

ALB = "alb.ingress.kubernetes.io/"
MSE = "mse.ingress.kubernetes.io/"
NGINX = "nginx.ingress.kubernetes.io/"
OWN = "fleetgate.io/"

FACTS = Facts("192.0.2.1", frozenset({"cluster-1", "cluster-2"}))
MEMBERS = {
    cluster: member_of(cluster, deployed({"demo/web": 2, "demo/next": 1}, f"10.0.{number}"))
    for number, cluster in enumerate(("cluster-1", "cluster-2"), start=1)
}
MSE_GATEWAY: list[Manifest] = [
    {
        "kind": "MseIngressConfig",
        "metadata": {
            "name": "mse",
            "annotations": {
                "mse.alibabacloud.com/remote-clusters": "cluster-1,cluster-2",
                OWN + "listeners": '[{"HTTP": 80}]',
            },
        },
        "spec": {"ingress": {"local": {"ingressClass": "mse"}}},
    }
]

BAD_RULES: dict[str, Any] = {
    "spec.rules[0].host": "shop example.com",
    "spec.rules[1].http.paths[0].path": "/a*",
    "spec.rules[1].http.paths[1].pathType": "Glob",
    "spec.rules[1].http.paths[2].backend.service.port": 99999,
}
"""What `ingress` writes when it is told to write faulty rules."""


class Dialect(NamedTuple):
    ingress_class: str
    gateway: list[Manifest]
    annotations: dict[str, str]  # each a fault


DIALECTS = [
    Dialect(
        "alb",
        gateway(80),
        {
            ALB + "listen-ports": '[{"HTTP": 70000}]',
            ALB + "order": "0",
            ALB + "cluster-weight.cluster-1": "1e2",
            OWN + "failover": "never",
            OWN + "cluster-priority": "cluster-1 > cluster-1",
            ALB + "traffic-limit-qps": "0",
            ALB + "traffic-limit-ip-qps": "many",
            ALB + "sticky-session-type": "Cookie",
            ALB + "cookie-timeout": "86401",
            ALB + "backend-scheduler": "rr",
            ALB + "slow-start-duration": "5",
            ALB + "backend-protocol": "grpc",
            ALB + "rewrite-target": "v2",
            ALB + "conditions.web": '[{"type": "Headr", "headerConfig": {"key": "a", "values": ["b"]}}]',
            ALB + "actions.web": '[{"type": "FixedResponse", "FixedResponseConfig": {"httpCode": "302"}}]',
            ALB + "enable-cors": "yes",
        },
    ),
    Dialect(
        "mse",
        MSE_GATEWAY,
        {
            MSE + "timeout": "-1",
            NGINX + "proxy-next-upstream": "http_600",
            NGINX + "proxy-next-upstream-tries": "101",
            NGINX + "upstream-vhost": "in house",
            NGINX + "temporal-redirect": "ftp://example.org/",
            NGINX + "app-root": "app",
            NGINX + "whitelist-source-range": "10.0.0.0/33",
            NGINX + "affinity": "ip",
            NGINX + "session-cookie-name": "a;b",
            MSE + "route-limit-rps": "0",
            MSE + "concurrency-limit": "1.5",
            NGINX + "load-balance": "best",
            NGINX + "server-alias": "www.*.com",
            MSE + "match-method": "FETCH",
            MSE + "regex-match-header-stage": "(gray",
            NGINX + "backend-protocol": "AJP",
        },
    ),
]


def ingress(name: str, ingress_class: str, annotations: dict[str, str], *, faulty: bool = False) -> Manifest:
    def path(path: str, path_type: str = "Prefix", port: int = 80) -> dict[str, Any]:
        backend = {"service": {"name": "web", "port": {"number": port}}}
        return {"path": path, "pathType": path_type, "backend": backend}

    rules = [{"host": "shop.example.com", "http": {"paths": [path("/")]}}]
    if faulty:
        rules = [
            {"host": "shop example.com", "http": {"paths": [path("/")]}},
            {
                "host": "shop.example.com",
                "http": {"paths": [path("/a*", "Exact"), path("/b", "Glob"), path("/c", port=99999)]},
            },
        ]
    return {
        "kind": "Ingress",
        "metadata": {"namespace": "demo", "name": name, "generation": 2, "annotations": annotations},
        "spec": {"ingressClassName": ingress_class, "rules": rules},
    }


def open_faults(dialect: Dialect) -> dict[str, str]:
    """Return the faults but for those of protections, which close the Ingress: test_closed.py."""
    return {
        key: value
        for key, value in dialect.annotations.items()
        if GUARDS.get(key.partition("/")[2]) not in PROTECTING
    }


def translated(*manifests: Manifest) -> Translation:
    return translate(fleet_of(manifests), MEMBERS, FACTS, LastGood(), 1)


@pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.ingress_class for dialect in DIALECTS])
def test_twenty_faults_are_twenty_findings(dialect: Dialect) -> None:
    faulty = ingress("faulty", dialect.ingress_class, dialect.annotations, faulty=True)
    found = translated(*dialect.gateway, faulty).diagnostics
    faults = {f"metadata.annotations[{key}]": value for key, value in dialect.annotations.items()}
    faults.update(BAD_RULES)
    assert len(faults) == len(found) == 20
    assert sorted(_place(item, faults) for item in found) == sorted(faults)
    for item in found:
        assert (item.kind, item.namespace, item.name, item.generation) == ("Ingress", "demo", "faulty", 2)
        assert item.level == "error"
        assert item.value
        assert item.value in str(faults[_place(item, faults)])
        assert item.message
        assert item.allowed
        assert item.fix


def _place(item: Diagnostic, faults: dict[str, Any]) -> str:
    """Return the fault that a finding is about: it may name a part of its value."""
    return next(field for field in faults if item.field == field or item.field.startswith(field + "["))


@pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.ingress_class for dialect in DIALECTS])
def test_other_ingresses_are_as_if_it_were_not_there(dialect: Dialect) -> None:
    name = dialect.ingress_class
    others = [
        *dialect.gateway,
        ingress("first", name, {}),
        ingress("second", name, {OWN + "failover": "auto"}),
    ]
    faulty = ingress("faulty", name, open_faults(dialect), faulty=True)
    alone, together = translated(*others), translated(*others, faulty)
    assert len(alone.snapshot.routes) == 2
    assert together.snapshot == alone.snapshot
    assert [item for item in together.diagnostics if item.name != "faulty"] == list(alone.diagnostics)
    assert [status for status in together.statuses if status.name != "faulty"] == list(alone.statuses)


@pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.ingress_class for dialect in DIALECTS])
def test_an_ingress_that_becomes_faulty_stays_as_it_was(dialect: Dialect) -> None:
    good = ingress("web", dialect.ingress_class, {})
    before = translated(*dialect.gateway, good)
    faulty = ingress("web", dialect.ingress_class, open_faults(dialect), faulty=True)
    after = translate(fleet_of([*dialect.gateway, faulty]), MEMBERS, FACTS, before.last_good, 2)
    assert len(after.diagnostics) == len(open_faults(dialect)) + len(BAD_RULES)
    assert after.snapshot.routes == before.snapshot.routes
    assert before.snapshot.routes
