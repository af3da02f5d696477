"""The certificates of hosts: who supplies them, and what Ingresses and gateways are told."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from controlplane.resources.secret import Secret
from controlplane.resources.view import TlsSecrets
from controlplane.translate.model import Translation
from proxy.model.tls import HostTls
from tests.support.tls import HOST, entry, gateway, ingress, known, secret, translated
from tests.support.translation import Manifest


def hosts_of(translation: Translation) -> dict[str, HostTls]:
    (listener,) = [each for each in translation.snapshot.listeners if each.tls is not None]
    assert listener.tls is not None
    return {host.host: host for host in listener.tls.hosts}


def served(translation: Translation) -> dict[str, str]:
    """Return the Secret behind each host."""
    by_id = {pair.certificate.id: name for name, pair in translation.pairs.items()}
    return {host: by_id[tls.certificate] for host, tls in hosts_of(translation).items()}


def codes(translation: Translation) -> Mapping[str, str]:
    return {item.code: item.text for item in translation.diagnostics if item.level != "info"}


def test_a_host_of_spec_tls_is_served_on_the_https_listener_with_its_secret() -> None:
    found = translated(
        [*gateway(), ingress("web", tls=[entry("web-tls", HOST)])], known(secret("shop", "web-tls", HOST))
    )
    assert served(found) == {HOST: "shop/web-tls"}
    assert hosts_of(found)[HOST].owner == "shop"
    assert [route.ports for route in found.snapshot.routes] == [(443,)]
    assert found.certificates.keys() == {hosts_of(found)[HOST].certificate}
    assert found.secret_namespaces == {"shop"}
    assert not codes(found)


@pytest.mark.parametrize(
    ("tls", "ports"),
    [
        ([entry("web-tls", HOST)], (443,)),
        ([entry("web-tls")], (443,)),
        ([entry("web-tls", "*.example.com")], (443,)),
        ([entry("web-tls", "www.example.com")], (80,)),
        ([], (80,)),
    ],
)
def test_rules_are_on_https_where_spec_tls_covers_their_host_and_on_http_elsewhere(
    tls: list[Manifest], ports: tuple[int, ...]
) -> None:
    found = translated([*gateway(), ingress("web", tls=tls)], known(secret("shop", "web-tls", HOST)))
    assert [route.ports for route in found.snapshot.routes] == [ports]


def test_listen_ports_and_ssl_redirect_name_further_listeners() -> None:
    tls = [entry("web-tls", HOST)]
    both = ingress("both", tls=tls, listen_ports='[{"HTTP": 80}, {"HTTPS": 443}]')
    redirected = ingress("redirected", tls=tls, ssl_redirect="true")
    found = translated([*gateway(), both, redirected], known(secret("shop", "web-tls", HOST)))
    assert [route.ports for route in found.snapshot.routes] == [(80, 443), (80, 443)]
    assert not codes(found)


def test_a_redirect_leads_to_the_https_listener_that_there_is() -> None:
    redirected = ingress("web", tls=[entry("web-tls", HOST)], ssl_redirect="true")
    found = translated([*gateway(port=8443), redirected], known(secret("shop", "web-tls", HOST)))
    (route,) = found.snapshot.routes
    assert route.policies is not None
    assert route.policies.to_https is not None
    assert route.policies.to_https.port == "8443"


def test_the_gateway_names_certificates_of_its_own() -> None:
    certificates = (
        {"CertificateId": "infra/second"},
        {"CertificateId": "infra/first", "IsDefault": True},
    )
    secrets = known(
        secret("infra", "first", "*.example.org"), secret("infra", "second", "b.example"), namespaces=()
    )
    found = translated(gateway(*certificates), secrets)
    assert served(found) == {"": "infra/first", "*.example.org": "infra/first", "b.example": "infra/second"}
    assert {host.owner for host in hosts_of(found).values()} == {""}
    (status,) = [each.status for each in found.statuses if each.kind.kind == "AlbConfig"]
    assert status["loadBalancer"]["listeners"][1] == {
        "portAndProtocol": "443/HTTPS",
        "certificates": [
            {"certificateId": "infra/first", "isDefault": True},
            {"certificateId": "infra/second", "isDefault": False},
        ],
    }


def test_the_namespace_that_owns_a_host_supplies_its_certificate() -> None:
    older = ingress("older", tls=[entry("tls", HOST)], created="2026-01-01T00:00:00Z")
    younger = ingress("younger", namespace="other", tls=[entry("tls", HOST)], created="2026-02-01T00:00:00Z")
    secrets = known(secret("shop", "tls", HOST), secret("other", "tls", HOST))
    found = translated([*gateway(), younger, older], secrets)
    assert served(found) == {HOST: "shop/tls"}
    assert found.secret_namespaces == {"shop"}


def test_the_wildcard_of_another_namespace_serves_no_host_of_this_one() -> None:
    wildcard = ingress("all", "*.example.com", namespace="other", tls=[entry("all-tls", "*.example.com")])
    own = ingress("web", tls=[entry("", HOST)], created="2026-03-01T00:00:00Z")
    exact = ingress("exact", "exact.example.com", created="2026-03-01T00:00:00Z")
    secrets = known(secret("other", "all-tls", "*.example.com"))
    found = translated([*gateway(), wildcard, own, exact], secrets)
    assert "exact.example.com" not in hosts_of(found)
    assert hosts_of(found)["*.example.com"].owner == "other"


def test_without_secret_name_the_certificate_for_the_host_is_found_in_its_namespace() -> None:
    secrets = known(
        secret("shop", "soon", HOST, days=30), secret("shop", "late", "*.example.com", days=60),
        secret("shop", "foreign", "other.example"), secret("other", "later", HOST, days=80),
    )  # fmt: skip
    found = translated([*gateway(), ingress("web", tls=[entry("", HOST)])], secrets)
    assert served(found) == {HOST: "shop/late"}
    nothing = translated([*gateway(), ingress("web", tls=[entry("", HOST)])], known())
    assert "FG0324" in codes(nothing)
    assert HOST in codes(nothing)["FG0324"]


def test_a_missing_secret_is_told_on_its_ingress() -> None:
    found = translated([*gateway(), ingress("web", tls=[entry("web-tsl", HOST)])], known())
    assert 'spec.tls[0].secretName: "shop/web-tsl"' in codes(found)["FG0321"]
    assert not hosts_of(found)


def test_a_missing_right_is_told_on_its_ingress_and_the_pair_stays() -> None:
    manifests = [*gateway(), ingress("web", tls=[entry("web-tls", HOST)])]
    denied = TlsSecrets(denied=frozenset({"shop"}))
    assert "clients of its hosts get no connection" in codes(translated(manifests, denied))["FG0320"]
    before = translated(manifests, known(secret("shop", "web-tls", HOST)))
    after = translated(manifests, denied, before)
    assert served(after) == {HOST: "shop/web-tls"}
    assert "the last good pair stays in use" in codes(after)["FG0320"]


def test_secrets_that_are_not_listed_yet_are_nobodys_fault() -> None:
    found = translated([*gateway(), ingress("web", tls=[entry("web-tls", HOST)])], TlsSecrets())
    assert not codes(found)
    assert found.secret_namespaces == {"shop"}


def test_a_gateway_that_was_restarted_keeps_certificates_until_their_secrets_are_listed() -> None:
    manifests = [
        *gateway({"CertificateId": "infra/own"}), ingress("web", tls=[entry("web-tls", HOST)]),
    ]  # fmt: skip
    secrets = (secret("shop", "web-tls", HOST), secret("infra", "own", "example.org"))
    before = translated(manifests, known(*secrets))
    assert hosts_of(before).keys() == {"", HOST, "example.org"}
    after = translated(manifests, TlsSecrets(), previous=before.snapshot)
    assert hosts_of(after) == hosts_of(before)
    assert not codes(after)
    one = translated(manifests, known(secrets[0]), previous=before.snapshot)
    assert hosts_of(one) == hosts_of(before)
    gone = translated(manifests, known(namespaces=("shop", "infra")), previous=before.snapshot)
    assert not hosts_of(gone)
    other = [*gateway(), ingress("web", namespace="other", tls=[entry("web-tls", HOST)])]
    assert not hosts_of(translated(other, TlsSecrets(), previous=before.snapshot))


def broken() -> list[tuple[Secret, str]]:
    good, other = secret("shop", "web-tls", HOST), secret("shop", "web-tls", HOST)

    def with_data(**data: str) -> Secret:
        return replace(good, data={**good.data, **{f"tls.{key}": value for key, value in data.items()}})

    text = base64.b64encode(b"no PEM").decode()
    return [
        (replace(good, type="Opaque"), "its type is Opaque, not kubernetes.io/tls"),
        (with_data(key=""), "it has no tls.key"),
        (with_data(crt="%"), "tls.crt is not base64"),
        (with_data(crt=text), "tls.crt is no PEM certificate"),
        (with_data(key=text), "tls.key is no PEM private key without a passphrase"),
        (with_data(key=other.data["tls.key"]), "is not the key of the first certificate"),
    ]


@pytest.mark.parametrize(("bad", "problem"), broken())
def test_a_pair_that_cannot_be_used_leaves_the_last_good_one(bad: Secret, problem: str) -> None:
    manifests = [*gateway(), ingress("web", tls=[entry("web-tls", HOST)])]
    first = translated(manifests, known(bad))
    assert problem in codes(first)["FG0322"]
    assert not hosts_of(first)
    assert all(value not in codes(first)["FG0322"] for value in bad.data.values() if value)
    before = translated(manifests, known(secret("shop", "web-tls", HOST)))
    after = translated(manifests, known(bad), before)
    assert hosts_of(after) == hosts_of(before)
    assert after.certificates == before.certificates
    assert "the last good pair stays in use" in codes(after)["FG0322"]


def test_a_certificate_for_other_hosts_is_served_and_told() -> None:
    manifests = [*gateway(), ingress("web", tls=[entry("web-tls", HOST)])]
    found = translated(manifests, known(secret("shop", "web-tls", "www.example.com")))
    assert served(found) == {HOST: "shop/web-tls"}
    assert "www.example.com" in codes(found)["FG0323"]


@pytest.mark.parametrize(("days", "is_told"), [(20.0, True), (23.0, False)])
def test_a_certificate_that_ends_soon_is_told(days: float, is_told: bool) -> None:
    manifests = [*gateway(), ingress("web", tls=[entry("web-tls", HOST)])]
    today = datetime.now(UTC).date().isoformat()
    found = translated(manifests, known(secret("shop", "web-tls", HOST, days=days)), today=today)
    assert ("FG0325" in codes(found)) is is_told


def test_policies_choose_the_lowest_version() -> None:
    manifests = [
        *gateway(securityPolicyId="tls_cipher_policy_1_3"),
        ingress("web", tls=[entry("web-tls", HOST)]),
    ]
    found = translated(manifests, known(secret("shop", "web-tls", HOST)))
    assert hosts_of(found)[HOST].min_version == "TLSv1.3"
    unknown = translated(
        [*gateway(securityPolicyId="tls_9"), ingress("web", tls=[entry("web-tls", HOST)])],
        known(secret("shop", "web-tls", HOST)),
    )
    assert hosts_of(unknown)[HOST].min_version == "TLSv1.2"
    assert "tls_cipher_policy_1_2_strict" in codes(unknown)["FG0514"]


def offers_http2(translation: Translation) -> bool:
    (listener,) = [each for each in translation.snapshot.listeners if each.tls is not None]
    assert listener.tls is not None
    return listener.tls.http2


@pytest.mark.parametrize(
    ("written", "is_offered"),
    [
        ({}, True),
        ({"http2Enabled": None}, True),
        ({"http2Enabled": True}, True),
        ({"HTTP2Enabled": "true"}, True),
        ({"http2Enabled": False}, False),
        ({"http2Enabled": "false"}, False),
    ],
)
def test_an_https_listener_offers_http2_unless_told_not_to(
    written: dict[str, object], is_offered: bool
) -> None:
    found = translated(gateway(**written), known())
    assert offers_http2(found) is is_offered
    assert not [item for item in found.diagnostics if "http2" in item.field.lower()]


def test_http2_that_is_neither_on_nor_off_is_told_and_stays_on() -> None:
    found = translated(gateway(http2Enabled="maybe"), known())
    assert offers_http2(found)
    assert "true or false" in codes(found)["FG0514"]


@pytest.mark.parametrize(("written", "told"), [(True, 1), (False, 0), (None, 0)])
def test_http2_on_an_http_listener_has_no_effect(written: object, told: int) -> None:
    manifests = gateway()
    manifests[0]["spec"]["listeners"][0]["http2Enabled"] = written
    found = [
        item for item in translated(manifests, known()).diagnostics if item.field.endswith("http2Enabled")
    ]
    assert [(item.code, "without TLS" in item.text) for item in found] == [("FG0511", True)] * told


def mse_gateway() -> Manifest:
    return {
        "kind": "MseIngressConfig",
        "metadata": {
            "name": "mse",
            "annotations": {
                "mse.alibabacloud.com/remote-clusters": "cluster-1",
                "fleetgate.io/listeners": '[{"HTTP": 80}, {"HTTPS": 443}]',
            },
        },
        "spec": {"ingress": {"local": {"ingressClass": "mse"}}},
    }


def test_an_https_listener_of_mse_offers_http2() -> None:
    assert offers_http2(translated([mse_gateway()], known()))


def test_the_strictest_ingress_of_a_host_decides_on_the_lowest_version() -> None:
    config = mse_gateway()
    plain = ingress("plain", tls=[entry("web-tls", HOST)])
    strict = ingress("strict", tls=[entry("web-tls", HOST)], created="2026-02-01T00:00:00Z")
    for manifest in (plain, strict):
        manifest["spec"]["ingressClassName"] = "mse"
    key = "nginx.ingress.kubernetes.io/tls-min-protocol-version"
    strict["metadata"]["annotations"] = {key: "TLSv1.3"}
    plain["metadata"]["annotations"] = {key: "TLSv1.0"}
    found = translated([config, plain, strict], known(secret("shop", "web-tls", HOST)))
    assert hosts_of(found)[HOST].min_version == "TLSv1.3"
    assert [route.ports for route in found.snapshot.routes] == [(80, 443), (80, 443)]
    strict["metadata"]["annotations"] = {key: "SSLv3"}
    wrong = translated([config, plain, strict], known(secret("shop", "web-tls", HOST)))
    assert hosts_of(wrong)[HOST].min_version == "TLSv1.2"
    assert "TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3" in codes(wrong)["FG0201"]


@pytest.mark.parametrize("identity", ["7536a-cn-hangzhou", "a/b/c", "/b", "a/", 7])
def test_a_certificate_of_the_cloud_is_told(identity: object) -> None:
    found = translated(gateway({"CertificateId": identity}), known())
    assert "namespace/name of a Secret" in codes(found)["FG0514"]


def test_without_an_https_listener_hosts_of_spec_tls_are_told_to_be_on_http() -> None:
    manifests = gateway()
    manifests[0]["spec"]["listeners"].pop()
    found = translated([*manifests, ingress("web", tls=[entry("web-tls", HOST)])], TlsSecrets())
    assert [route.ports for route in found.snapshot.routes] == [(80,)]
    assert "no HTTPS listener" in codes(found)["FG0307"]
    assert not found.secret_namespaces
