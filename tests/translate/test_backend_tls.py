"""TLS to endpoints as Ingresses of both dialects want it, and the Secrets that it needs."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from controlplane.resources.meta import ObjectMeta
from controlplane.resources.secret import Secret
from controlplane.resources.view import TlsSecrets
from controlplane.translate.model import Translation
from proxy.model.actions import Forward
from proxy.model.tls import BackendTls
from tests.support.certificates import Authority
from tests.support.tls import gateway, ingress, known, translated
from tests.support.translation import Manifest

AUTHORITY = Authority("endpoints")
PAIR = AUTHORITY.issue("gateway")
OWN = "web.shop.svc"


def secret(namespace: str = "shop", name: str = "backend", **data: bytes) -> Secret:
    named = {"ca": "ca.crt", "crt": "tls.crt", "key": "tls.key"}
    encoded = {named[key]: base64.b64encode(value).decode() for key, value in data.items()}
    return Secret(ObjectMeta(namespace=namespace, name=name), "kubernetes.io/tls", encoded)


WHOLE = secret(ca=AUTHORITY.pem, crt=PAIR.chain, key=PAIR.key)
AUTHORITIES = secret(ca=AUTHORITY.pem, crt=b"", key=b"")


MSE_GATEWAY: list[Manifest] = [
    {
        "kind": "MseIngressConfig",
        "metadata": {"name": "mse", "annotations": {"mse.alibabacloud.com/remote-clusters": "cluster-1"}},
        "spec": {"ingress": {"local": {"ingressClass": "mse"}}},
    },
]


def mse(annotations: Mapping[str, str], name: str = "web", namespace: str = "shop") -> Manifest:
    made = ingress(name, namespace=namespace)
    made["spec"]["ingressClassName"] = "mse"
    made["metadata"]["annotations"] = {
        f"nginx.ingress.kubernetes.io/{key}": value for key, value in annotations.items()
    }
    return made


def of_mse(
    annotations: Mapping[str, str], secrets: TlsSecrets | None = None, *others: Manifest, **options: Any
) -> Translation:
    wanted = {"backend-protocol": "HTTPS", **annotations}
    return translated([*MSE_GATEWAY, mse(wanted), *others], secrets or known(WHOLE), **options)


def tls_of(translation: Translation) -> dict[str, BackendTls | None]:
    return {service.id: service.tls for service in translation.snapshot.services}


def codes(translation: Translation) -> dict[str, str]:
    return {item.code: item.text for item in translation.diagnostics if item.level == "error"}


def test_alb_verifies_no_endpoint() -> None:
    found = translated([*gateway(), ingress("web", backend_protocol="https")], known())
    assert tls_of(found) == {"shop/web:80(https)": BackendTls()}
    assert [len(part.endpoints) for part in found.snapshot.services[0].clusters] == [1]


def test_two_ingresses_with_different_protocols_share_no_service() -> None:
    secure = ingress("secure", backend_protocol="HTTPS")
    found = translated([*gateway(), secure, ingress("plain")], known())
    assert tls_of(found) == {"shop/web:80": None, "shop/web:80(https)": BackendTls()}
    to = {
        route.source.name: [backend.service for backend in route.action.backends]
        for route in found.snapshot.routes
        if isinstance(route.action, Forward)
    }
    assert to == {"plain": ["shop/web:80"], "secure": ["shop/web:80(https)"]}


@pytest.mark.parametrize(
    ("annotations", "service", "tls"),
    [
        ({}, "(https)", BackendTls()),
        ({"proxy-ssl-server-name": "on"}, f"(https,name={OWN})", BackendTls(server_name=OWN)),
        ({"proxy-ssl-name": "A.example"}, "(https,name=a.example)", BackendTls(server_name="a.example")),
        ({"proxy-ssl-name": "a.example", "proxy-ssl-server-name": "off"}, "(https)", BackendTls()),
        ({"proxy-ssl-verify": "on"}, f"(https,verify,name={OWN})", BackendTls(True, OWN)),
        (
            {"proxy-ssl-verify": "on", "proxy-ssl-name": "10.0.0.1", "proxy-ssl-server-name": "off"},
            "(https,verify,name=10.0.0.1)",
            BackendTls(True, "10.0.0.1"),
        ),
    ],
)
def test_settings_of_mse(annotations: Mapping[str, str], service: str, tls: BackendTls) -> None:
    found = of_mse(annotations)
    assert tls_of(found) == {f"shop/web:80{service}": tls}
    assert found.secret_namespaces == frozenset()
    assert codes(found) == {}


def test_a_secret_has_the_authority_and_the_pair() -> None:
    found = of_mse({"proxy-ssl-verify": "on", "proxy-ssl-secret": "shop/backend"})
    (tls,) = tls_of(found).values()
    assert tls is not None
    assert found.secret_namespaces == {"shop"}
    assert found.certificates[tls.trust].chain == AUTHORITY.pem
    assert found.certificates[tls.trust].key == b""
    assert found.certificates[tls.client].chain == PAIR.chain
    assert codes(found) == {}


def test_authorities_alone_are_enough() -> None:
    wanted = {"proxy-ssl-verify": "on", "proxy-ssl-secret": "shop/backend"}
    (tls,) = tls_of(of_mse(wanted, known(AUTHORITIES))).values()
    assert tls is not None
    assert (bool(tls.trust), tls.client) == (True, "")


@pytest.mark.parametrize(
    ("secrets", "code", "verify"),
    [
        (known(), "FG0640", "off"),
        (known(secret(crt=PAIR.chain, key=PAIR.key)), "FG0641", "on"),
        (known(secret(ca=b"no certificate", crt=b"", key=b"")), "FG0641", "on"),
        (known(secret(ca=AUTHORITY.pem, crt=PAIR.chain, key=b"")), "FG0641", "off"),
        (known(secret(ca=AUTHORITY.pem, crt=PAIR.chain, key=Authority().issue("x").key)), "FG0641", "off"),
        (TlsSecrets(denied=frozenset({"shop"})), "FG0643", "off"),
        (TlsSecrets(denied=frozenset({"shop"})), "FG0643", "on"),
    ],
)
def test_without_the_secret_no_endpoint_is_spoken_to(secrets: TlsSecrets, code: str, verify: str) -> None:
    found = of_mse({"proxy-ssl-verify": verify, "proxy-ssl-secret": "shop/backend"}, secrets)
    (tls,) = tls_of(found).values()
    assert tls is not None
    assert codes(found).keys() == {code}
    assert tls.client  # which no worker gets, so that it refuses to connect
    assert found.certificates == {}
    assert (tls.verify, bool(tls.trust)) == (verify == "on", verify == "on")


def test_a_secret_that_breaks_leaves_what_was_read_before() -> None:
    wanted = {"proxy-ssl-verify": "on", "proxy-ssl-secret": "shop/backend"}
    before = of_mse(wanted)
    after = of_mse(wanted, known(secret(ca=b"broken", crt=PAIR.chain, key=PAIR.key)), earlier=before)
    assert tls_of(after) == tls_of(before)
    assert after.certificates == before.certificates
    assert "stays in use" in codes(after)["FG0641"]


def test_a_gateway_that_was_restarted_trusts_as_before_until_secrets_are_listed() -> None:
    wanted = {"proxy-ssl-verify": "on", "proxy-ssl-secret": "shop/backend"}
    before = of_mse(wanted)
    after = of_mse(wanted, TlsSecrets(), previous=before.snapshot)
    assert tls_of(after) == tls_of(before)
    assert after.secret_namespaces == {"shop"}
    assert codes(after) == {}


def grant(kind: str = "Secret") -> Manifest:
    return {
        "kind": "ReferenceGrant",
        "metadata": {"namespace": "bank", "name": "shop"},
        "spec": {
            "from": [{"group": "networking.k8s.io", "kind": "Ingress", "namespace": "shop"}],
            "to": [{"group": "", "kind": kind}],
        },
    }


def test_a_secret_of_another_namespace_needs_a_grant() -> None:
    """Its endpoints would else take everybody's requests for those of that namespace."""
    other = known(secret("bank", ca=AUTHORITY.pem, crt=PAIR.chain, key=PAIR.key))
    wanted = {"proxy-ssl-secret": "bank/backend"}
    for refused in (of_mse(wanted, other), of_mse(wanted, other, grant("Service"))):
        assert "FG0642" in codes(refused)
        assert refused.certificates == {}
        assert [service.clusters for service in refused.snapshot.services] == [()]
    granted = of_mse(wanted, other, grant())
    (tls,) = tls_of(granted).values()
    assert tls is not None
    assert tls.client in granted.certificates
    assert codes(granted) == {}


@pytest.mark.parametrize(
    "annotations",
    [
        {"proxy-ssl-verify": "yes"},
        {"proxy-ssl-server-name": "1"},
        {"proxy-ssl-secret": "backend"},
        {"proxy-ssl-secret": "a/b/c"},
        {"proxy-ssl-name": "a b"},
        {"proxy-ssl-name": ""},
        {"backend-protocol": "AJP"},
    ],
)
def test_unusable_values_leave_the_rules_out(annotations: Mapping[str, str]) -> None:
    found = of_mse(annotations)
    assert codes(found).keys() == {"FG0201"}
    assert found.snapshot.routes == ()


def test_settings_of_tls_are_idle_without_it() -> None:
    found = of_mse({"backend-protocol": "HTTP", "proxy-ssl-verify": "on", "proxy-ssl-secret": "shop/backend"})
    assert tls_of(found) == {"shop/web:80": None}
    assert [item.code for item in found.diagnostics if item.code.startswith("FG02")] == ["FG0204"] * 2
    assert found.secret_namespaces == frozenset()
