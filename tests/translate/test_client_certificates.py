"""Certificates of clients: which hosts demand them, of whom, and that nothing gets around a demand."""

import base64
from typing import Any

import pytest
from msgspec.structs import replace

from controlplane.resources.meta import ObjectMeta
from controlplane.resources.secret import Secret
from controlplane.resources.view import TlsSecrets
from controlplane.translate.clientcerts import ANSWER
from controlplane.translate.closed import ANSWER as UNPROTECTED
from controlplane.translate.model import Translation
from proxy.model.actions import Forward
from proxy.model.snapshot import Route
from proxy.model.tls import NO_AUTHORITY, HostTls
from tests.support.certificates import Authority
from tests.support.tls import HOST, entry, gateway, ingress, known, secret, translated
from tests.support.translation import Manifest

TRUST, OTHER = Authority("clients"), Authority("others")
KEY = "nginx.ingress.kubernetes.io/auth-tls-secret"
PAIR = secret("shop", "web-tls", HOST)
CACERT = "web-tls-cacert"


def authorities(name: str, *trusted: Authority, namespace: str = "shop", raw: bytes | None = None) -> Secret:
    text = b"".join(each.pem for each in trusted) if raw is None else raw
    data = {"ca.crt": base64.b64encode(text).decode()}
    return Secret(ObjectMeta(namespace=namespace, name=name), "Opaque", data)


def have(
    *named: Secret | str, denied: tuple[str, ...] = (), pairs: tuple[Secret, ...] = (PAIR,)
) -> TlsSecrets:
    """Return Secrets as they are listed; a name alone is one that does not exist."""
    found = {
        each if isinstance(each, str) else f"{each.metadata.namespace}/{each.metadata.name}": (
            None if isinstance(each, str) else each
        )
        for each in named
    }
    return replace(known(*pairs), named=found, named_denied=frozenset(denied))


def mse(ports: str = '[{"HTTP": 80}, {"HTTPS": 443}]') -> Manifest:
    annotations = {"mse.alibabacloud.com/remote-clusters": "cluster-1", "fleetgate.io/listeners": ports}
    return {
        "kind": "MseIngressConfig",
        "metadata": {"name": "mse", "annotations": annotations},
        "spec": {"ingress": {"local": {"ingressClass": "mse"}}},
    }


def site(name: str = "web", ca: str = f"shop/{CACERT}", **changes: Any) -> Manifest:
    annotations = changes.pop("annotations", {})
    changes.setdefault("tls", [entry("web-tls", HOST)])
    made = ingress(name, **changes)
    made["spec"]["ingressClassName"] = "mse"
    made["metadata"]["annotations"] = {**({KEY: ca} if ca else {}), **annotations}
    return made


def hosts_of(translation: Translation) -> dict[str, HostTls]:
    tls = [each.tls for each in translation.snapshot.listeners if each.tls is not None]
    return {host.host: host for each in tls for host in each.hosts}


def codes(translation: Translation) -> dict[str, str]:
    return {item.code: item.text for item in translation.diagnostics if item.level != "info"}


def on(translation: Translation, port: int) -> list[Route]:
    return [route for route in translation.snapshot.routes if port in route.ports]


def admits(translation: Translation, *trusted: Authority, host: str = HOST) -> bool:
    """Whether handshakes of the host admit just the clients of these authorities."""
    bundle = translation.certificates[hosts_of(translation)[host].client_ca]
    return (bundle.chain, bundle.key) == (b"".join(each.pem for each in trusted), b"")


def test_an_ingress_demands_certificates_of_the_authorities_of_its_secret() -> None:
    found = translated([mse(), site()], have(authorities(CACERT, TRUST)))
    assert admits(found, TRUST)
    assert found.named_secrets == {f"shop/{CACERT}"}
    assert [type(route.action) for route in on(found, 443)] == [Forward]


@pytest.mark.parametrize("ca", ["shop/web-tls", "web-tls", CACERT])
def test_the_secret_is_the_server_secret_or_the_one_beside_it(ca: str) -> None:
    name = ca.rpartition("/")[2]
    found = translated([mse(), site(ca=ca)], have(authorities(name, TRUST, OTHER)))
    assert admits(found, TRUST, OTHER)


@pytest.mark.parametrize(
    ("ca", "problem"),
    [
        ("other/web-tls-cacert", "is a Secret of another namespace"),
        ("/web-tls-cacert", "is a Secret of another namespace"),
        ("shop/elsewhere-cacert", "goes with no secretName"),
        ("shop/web/tls", "is not the name of a Secret"),
        ("shop/", "is not the name of a Secret"),
    ],
)
def test_no_other_secret_may_be_named(ca: str, problem: str) -> None:
    secrets = have(authorities(CACERT, TRUST, namespace="other"), authorities("elsewhere-cacert", TRUST))
    found = translated([mse(), site(ca=ca)], secrets)
    assert problem in codes(found)["FG0201"]
    assert {route.action for route in found.snapshot.routes} == {UNPROTECTED}
    assert not found.named_secrets


def test_requests_that_come_without_tls_meet_the_demand_nowhere() -> None:
    found = translated([mse(), site()], have(authorities(CACERT, TRUST)))
    (plain,) = on(found, 80)
    assert plain.action == ANSWER
    assert "ports 80" in codes(found)["FG0329"]
    redirecting = {"nginx.ingress.kubernetes.io/ssl-redirect": "true"}
    found = translated([mse(), site(annotations=redirecting)], have(authorities(CACERT, TRUST)))
    (plain,) = on(found, 80)
    assert plain.policies is not None
    assert plain.policies.to_https is not None
    assert plain.action == ANSWER  # for requests that a trusted proxy calls https
    assert not codes(found)
    ids = [route.id for route in found.snapshot.routes]
    assert len(set(ids)) == len(ids) == 2


def test_a_demand_is_that_of_the_host_whichever_ingress_has_the_rule() -> None:
    found = translated([mse(), site(), site("open", ca="")], have(authorities(CACERT, TRUST)))
    assert [type(route.action) for route in on(found, 443)] == [Forward, Forward]
    assert [route.action for route in on(found, 80)] == [ANSWER, ANSWER]
    other = site("other", ca="", host="other.example.com", tls=[])
    found = translated([mse(), site(), other], have(authorities(CACERT, TRUST)))
    assert [type(route.action) for route in on(found, 80) if route.host != HOST] == [Forward]


@pytest.mark.parametrize(
    "pairs", [(), (secret("shop", "web-tls", "www.example.org"),)], ids=["no pair", "pair for another host"]
)
def test_without_tls_of_its_own_no_rule_of_the_host_is_open(pairs: tuple[Secret, ...]) -> None:
    found = translated([mse(), site()], have(authorities(CACERT, TRUST), pairs=pairs))
    served = bool(hosts_of(found))
    assert served is bool(pairs)
    assert [type(route.action) is Forward for route in on(found, 443)] == [served]


def test_secrets_that_are_not_listed_yet_are_nobodys_fault() -> None:
    redirecting = {"nginx.ingress.kubernetes.io/ssl-redirect": "true"}
    found = translated([mse(), site(annotations=redirecting)], TlsSecrets())
    assert not codes(found)
    assert {route.action for route in found.snapshot.routes} == {ANSWER}


def test_a_host_outside_of_spec_tls_is_closed() -> None:
    found = translated([mse(), site(host="www.example.com")], have(authorities(CACERT, TRUST)))
    assert {route.action for route in found.snapshot.routes} == {ANSWER}
    assert "www.example.com on the ports 80, 443" in codes(found)["FG0329"]


def test_the_older_of_two_demands_decides_and_the_other_is_closed() -> None:
    tls = [entry("web-tls", HOST), entry("b-tls", "b.example.com")]
    younger = site("younger", ca="shop/b-tls-cacert", tls=tls, created="2026-02-01T00:00:00Z")
    secrets = have(authorities(CACERT, TRUST), authorities("b-tls-cacert", OTHER))
    found = translated([mse(), younger, site()], secrets)
    assert admits(found, TRUST)
    assert "shop/web names" in codes(found)["FG0328"]
    actions = {route.source.name: type(route.action) for route in on(found, 443)}
    assert actions == {"web": Forward, "younger": type(ANSWER)}


def test_a_demand_for_a_host_of_another_namespace_closes_its_own_rules_alone() -> None:
    foreign = site("web", f"other/{CACERT}", namespace="other", created="2026-02-01T00:00:00Z")
    secrets = have(
        authorities(CACERT, OTHER, namespace="other"), pairs=(PAIR, secret("other", "web-tls", HOST))
    )
    found = translated([mse(), site(ca=""), foreign], secrets)
    assert hosts_of(found)[HOST].client_ca == ""
    assert {(route.source.namespace, type(route.action)) for route in found.snapshot.routes} == {
        ("shop", Forward),
        ("other", type(ANSWER)),
    }


def bad() -> list[tuple[Secret | str, str, str]]:
    leaf = TRUST.issue("till").chain
    return [
        (f"shop/{CACERT}", "FG0326", "no such Secret"),
        (authorities(CACERT), "FG0327", "it has no ca.crt"),
        (authorities(CACERT, raw=b"x"), "FG0327", "ca.crt is no PEM certificate"),
        (authorities(CACERT, raw=TRUST.pem + leaf), "FG0327", "a certificate in ca.crt is no authority"),
        (authorities(CACERT, raw=TRUST.pem * 200), "FG0327", "ca.crt is longer than 64 KiB"),
    ]


@pytest.mark.parametrize(("state", "code", "problem"), bad())
def test_authorities_that_cannot_be_used_admit_nobody_or_leave_the_last_good_ones(
    state: Secret | str, code: str, problem: str
) -> None:
    found = translated([mse(), site()], have(state))
    assert hosts_of(found)[HOST].client_ca == NO_AUTHORITY
    assert problem in codes(found)[code]
    assert "they let no client in" in codes(found)[code]
    before = translated([mse(), site()], have(authorities(CACERT, TRUST)))
    after = translated([mse(), site()], have(state), before)
    assert admits(after, TRUST)
    assert "the last good authorities stay in use" in codes(after)[code]


def test_a_missing_right_is_told() -> None:
    found = translated([mse(), site()], have(denied=(f"shop/{CACERT}",)))
    assert hosts_of(found)[HOST].client_ca == NO_AUTHORITY
    assert "they let no client in" in codes(found)["FG0320"]


def test_a_gateway_that_was_restarted_keeps_the_bundle_until_its_secret_is_listed() -> None:
    before = translated([mse(), site()], have(authorities(CACERT, TRUST)))
    for secrets in (TlsSecrets(), have()):
        after = translated([mse(), site()], secrets, previous=before.snapshot)
        assert hosts_of(after) == hosts_of(before)
        assert "FG0326" not in codes(after)
    unasked = translated([mse(), site(ca="")], have(), previous=before.snapshot)
    assert hosts_of(unasked)[HOST].client_ca == ""
    new = translated([mse(), site()], have(), previous=unasked.snapshot)
    assert hosts_of(new)[HOST].client_ca == NO_AUTHORITY


def test_a_renewed_bundle_has_another_id() -> None:
    before = translated([mse(), site()], have(authorities(CACERT, TRUST)))
    after = translated([mse(), site()], have(authorities(CACERT, TRUST, OTHER)), before)
    assert hosts_of(after)[HOST].client_ca != hosts_of(before)[HOST].client_ca
    assert admits(after, TRUST, OTHER)


@pytest.mark.parametrize(
    ("verify", "ca", "code"),
    [
        ("optional", f"shop/{CACERT}", "FG0201"),
        ("optional_no_ca", f"shop/{CACERT}", "FG0201"),
        ("on", "", "FG0201"),
        ("on", f"shop/{CACERT}", ""),
        ("off", f"shop/{CACERT}", ""),
        ("off", "", ""),
    ],
)
def test_clients_whose_certificates_are_optional_are_not_let_in(verify: str, ca: str, code: str) -> None:
    annotations = {"nginx.ingress.kubernetes.io/auth-tls-verify-client": verify}
    found = translated([mse(), site(ca=ca, annotations=annotations)], have(authorities(CACERT, TRUST)))
    assert (code in codes(found)) is bool(code)
    if code:
        assert {route.action for route in found.snapshot.routes} <= {UNPROTECTED, ANSWER}
    else:
        assert bool(hosts_of(found)[HOST].client_ca) is (verify == "on")


def test_a_canary_has_no_demand_of_its_own() -> None:
    weight = {
        "nginx.ingress.kubernetes.io/canary": "true",
        "nginx.ingress.kubernetes.io/canary-weight": "30",
    }
    found = translated([mse(), site(), site("canary", annotations=weight)], have(authorities(CACERT, TRUST)))
    assert "stands on a canary" in codes(found)["FG0201"]


def alb(**listener: Any) -> Translation:
    secrets = have(
        authorities("clients", TRUST, namespace="infra"), authorities("more", OTHER, namespace="infra")
    )
    own = ingress("web", tls=[entry("web-tls", HOST)])
    return translated([*gateway({"CertificateId": "shop/web-tls"}, **listener), own], secrets)


def test_a_listener_demands_certificates_for_all_its_hosts() -> None:
    ids = [{"CertificateId": "infra/clients"}]
    found = alb(caEnabled=True, caCertificates=ids)
    assert hosts_of(found).keys() == {"", HOST}
    assert all(admits(found, TRUST, host=host) for host in ("", HOST))
    assert not codes(found)
    assert not hosts_of(alb(caEnabled=False, caCertificates=ids))[HOST].client_ca
    assert admits(alb(caEnabled="true", caCertificates=[*ids, {"CertificateId": "infra/more"}]), TRUST, OTHER)


@pytest.mark.parametrize(
    "listener",
    [
        {"caEnabled": True},
        {"caEnabled": True, "caCertificates": []},
        {"caEnabled": True, "caCertificates": "infra/clients"},
        {"caEnabled": True, "caCertificates": [{"CertificateId": "7536a-cn-hangzhou"}]},
        {"caEnabled": "yes", "caCertificates": []},
    ],
)
def test_a_listener_whose_authorities_cannot_be_read_lets_nobody_in(listener: dict[str, Any]) -> None:
    found = alb(**listener)
    assert {host.client_ca for host in hosts_of(found).values()} == {NO_AUTHORITY}
    assert "FG0514" in codes(found)
