"""Ids of services: readable, unambiguous, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from controlplane.translate.services import ServiceRef, ServiceTls, group_id, names_service

NAMES = st.text(max_size=8) | st.text("ab/:,=[]{}%", max_size=8)
REFS = st.builds(
    ServiceRef.of,
    NAMES,
    NAMES,
    NAMES | st.integers(1, 65535),
    labels=st.dictionaries(NAMES, NAMES, max_size=3),
    overrides=st.dictionaries(NAMES, st.tuples(NAMES, NAMES), max_size=3),
)
TLS = st.none() | st.builds(ServiceTls, st.booleans(), NAMES, NAMES | st.just("shop/ca"))


@given(REFS, TLS)
def test_an_id_says_everything(ref: ServiceRef, tls: ServiceTls | None) -> None:
    secured = replace(ref, tls=tls)
    assert ServiceRef.parse(secured.id) == secured


@given(REFS, REFS)
def test_different_services_have_different_ids(one: ServiceRef, other: ServiceRef) -> None:
    assert (one.id == other.id) is (one == other)


@pytest.mark.parametrize(
    ("ref", "shown"),
    [
        (ServiceRef.of("demo", "web", 80), "demo/web:80"),
        (ServiceRef.of("demo", "web", "http"), "demo/web:http"),
        (
            ServiceRef.of("demo", "web", 80, labels={"version": "v2", "app.kubernetes.io/name": ""}),
            "demo/web:80[app.kubernetes.io/name=,version=v2]",
        ),
        (
            ServiceRef.of(
                "demo",
                "web",
                80,
                labels={"version": "v2"},
                overrides={"c2": ("other", ""), "c1": ("", "http"), "c3": ("", "")},
            ),
            "demo/web:80[version=v2]{c1=:http,c2=other:}",
        ),
        (ServiceRef.of("demo", "a:b", 80), "demo/a%3Ab:80"),
    ],
)
def test_ids_can_be_read(ref: ServiceRef, shown: str) -> None:
    assert ref.id == shown


@pytest.mark.parametrize(
    "text", ["", "web", "demo/web", "servergroup:demo/web", "a/b:80[]", "a/b:80{x", "a/b/c:1"]
)
def test_text_that_is_no_service_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no Service"):
        ServiceRef.parse(text)


def test_a_cluster_may_have_its_own_name_and_port() -> None:
    ref = ServiceRef.of("demo", "web", 80, overrides={"c1": ("other", "http"), "c2": ("other", "")})
    assert [(ref.key_in(c), ref.port_in(c)) for c in ("c1", "c2", "c3")] == [
        ("demo/other", "http"),
        ("demo/other", "80"),
        ("demo/web", "80"),
    ]


@pytest.mark.parametrize(
    ("service_id", "answers_to"),
    [
        ("demo/web:80", ["demo/web:80", "demo/web", "web"]),
        (
            "demo/web:80[a.b/c=d]{c1=x:81}",
            ["demo/web:80[a.b/c=d]{c1=x:81}", "demo/web:80", "demo/web", "web"],
        ),
        (group_id("demo", "idc"), ["servergroup:demo/idc", "idc"]),
    ],
)
def test_a_service_answers_to_its_id_and_to_less_of_it(service_id: str, answers_to: list[str]) -> None:
    asked = [*answers_to, "c", "80", "demo", "demo/web:81", "c=d]", "x", "servergroup", ""]
    assert [wanted for wanted in asked if names_service(wanted, service_id)] == answers_to
