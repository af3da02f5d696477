"""tls-max-protocol-version, ssl-cipher and fleetgate.io/hsts: what hosts accept, and tell browsers."""

import pytest

from controlplane.translate.annotations.hsts import parse_hsts
from controlplane.translate.annotations.tls_versions import CIPHERS
from controlplane.translate.model import Translation
from proxy.model.tls import HostTls
from tests.support.tls import HOST, entry, gateway, ingress, known, secret, translated
from tests.translate.test_client_certificates import codes, hosts_of, mse, site

NGINX = "nginx.ingress.kubernetes.io/"
SECRETS = known(secret("shop", "web-tls", HOST))


def asked(*ingresses: dict[str, str]) -> Translation:
    made = [
        site(f"web{number}", ca="", annotations={NGINX + key: value for key, value in each.items()})
        for number, each in enumerate(ingresses)
    ]
    return translated([mse(), *made], SECRETS)


def tls(*ingresses: dict[str, str]) -> HostTls:
    return hosts_of(asked(*ingresses))[HOST]


@pytest.mark.parametrize(
    ("ingresses", "highest"),
    [
        ([{}], ""),
        ([{"tls-max-protocol-version": "TLSv1.3"}], ""),
        ([{"tls-max-protocol-version": "tlsv1.2"}], "TLSv1.2"),
        ([{"tls-max-protocol-version": "TLSv1.2"}, {}], "TLSv1.2"),
        ([{"tls-max-protocol-version": "TLSv1.2"}, {"tls-min-protocol-version": "TLSv1.3"}], "TLSv1.3"),
    ],
)
def test_the_strictest_ingress_decides_on_the_highest_version(
    ingresses: list[dict[str, str]], highest: str
) -> None:
    assert tls(*ingresses).max_version == highest


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"tls-max-protocol-version": "TLSv1.1"}, "would let no client in"),
        ({"tls-max-protocol-version": "TLSv2"}, "none of the values"),
        (
            {"tls-max-protocol-version": "TLSv1.2", "tls-min-protocol-version": "TLSv1.3"},
            "is below tls-min-protocol-version",
        ),
        ({"ssl-cipher": "AES128-SHA:RC4-MD5"}, "names no cipher suite"),
        ({"ssl-cipher": "ALL"}, CIPHERS[0]),
    ],
)
def test_what_would_let_no_client_in_is_an_error(said: dict[str, str], problem: str) -> None:
    assert problem in codes(asked(said))["FG0201"]


@pytest.mark.parametrize("between", [":", ",", ", "])
def test_ciphers_are_listed_in_both_ways(between: str) -> None:
    wanted = (CIPHERS[0], CIPHERS[5])
    assert tls({"ssl-cipher": between.join(wanted)}).ciphers == wanted
    assert not codes(asked({"ssl-cipher": between.join(wanted)}))


def test_unsafe_ciphers_are_left_out_and_told() -> None:
    said = {"ssl-cipher": f"AES128-SHA:{CIPHERS[1]}:DHE-RSA-AES256-GCM-SHA384"}
    found = asked(said)
    assert hosts_of(found)[HOST].ciphers == (CIPHERS[1],)
    (note,) = [item.text for item in found.diagnostics if item.code == "FG0202"]
    assert "AES128-SHA, DHE-RSA-AES256-GCM-SHA384 are left out" in note


def test_of_several_lists_what_all_have_is_accepted() -> None:
    one, other = ":".join(CIPHERS[:3]), ":".join(CIPHERS[2:])
    assert tls({"ssl-cipher": one}, {}, {"ssl-cipher": other}).ciphers == (CIPHERS[2],)
    assert tls({"ssl-cipher": CIPHERS[0]}, {"ssl-cipher": CIPHERS[1]}).ciphers == (CIPHERS[0],)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("max-age=31536000", "max-age=31536000"),
        ("max-age=0", "max-age=0"),
        ('includesubdomains; MAX-AGE = "60" ;; Preload;', "max-age=60; includeSubDomains; preload"),
    ],
)
def test_the_word_to_browsers_is_written_in_normal_form(text: str, value: str) -> None:
    assert parse_hsts(text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no max-age"),
        ("includeSubDomains", "has no max-age"),
        ("max-age=1y", "no directive"),
        ("max-age=1; max-age=2", "twice"),
        ("max-age=1; preload; preload", "twice"),
        ("max-age=1, preload", "no directive"),
        ("max-age=1\r\nX: y", "no directive"),
        ("max-age=99999999999", "no directive"),
    ],
)
def test_a_word_that_browsers_would_not_read_is_an_error(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_hsts(text)


def test_both_dialects_have_the_word_to_browsers() -> None:
    own = site(ca="", annotations={"fleetgate.io/hsts": "max-age=60;preload"})
    alb = ingress("web", tls=[entry("web-tls", HOST)])
    alb["metadata"]["annotations"] = own["metadata"]["annotations"]
    for manifests in ([mse(), own], [*gateway(), alb]):
        found = translated(manifests, SECRETS)
        for route in found.snapshot.routes:
            assert route.policies is not None
            assert route.policies.hsts == "max-age=60; preload"
    wrong = site(ca="", annotations={"fleetgate.io/hsts": "1 year"})
    assert "no directive" in codes(translated([mse(), wrong], SECRETS))["FG0201"]
