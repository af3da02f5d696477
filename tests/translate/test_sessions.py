"""Cookies of affinity: one for each service of a site, whatever their Ingresses call them."""

import msgspec
import pytest

from controlplane.translate.sessions import name_sessions
from proxy.model.actions import Backend, Balance, Forward, Sticky, StickyMode
from proxy.model.snapshot import Route
from tests.support.snapshots import route

PORT = 80


def sticky(
    name: str, service: str, host: str = "a.example", cookie: str = "S", mode: StickyMode = StickyMode.INSERT
) -> Route:
    """`name` is that of the Ingress, and its age."""
    one = route(PORT, host=host, name=name)
    assert isinstance(one.action, Forward)
    backends = (Backend(f"demo/{service}:80"),)
    balance = Balance(sticky=Sticky(cookie, mode))
    return msgspec.structs.replace(
        one, action=msgspec.structs.replace(one.action, backends=backends, balance=balance), created=name
    )


def cookies(*routes: Route) -> list[str]:
    named = []
    for one in name_sessions(routes):
        assert isinstance(one.action, Forward)
        assert one.action.balance is not None
        assert one.action.balance.sticky is not None
        named.append(one.action.balance.sticky.cookie)
    return named


def test_one_service_keeps_the_name_as_it_is_written() -> None:
    assert cookies(sticky("1", "a"), sticky("2", "a")) == ["S", "S"]
    assert cookies(sticky("1", "a"), sticky("2", "b", host="b.example")) == ["S", "S"]
    assert cookies(sticky("1", "a"), sticky("2", "b", cookie="T")) == ["S", "T"]


def test_each_service_of_a_site_has_its_own_cookie() -> None:
    first, second, third = cookies(sticky("1", "a"), sticky("2", "b"), sticky("3", "c"))
    assert first == "S"
    assert len({first, second, third}) == 3
    assert second.startswith("S-")
    assert cookies(sticky("3", "b"), sticky("1", "a"), sticky("2", "b")) == [second, "S", second]


@pytest.mark.parametrize(
    ("older", "younger"),
    [("", "a.example"), ("*.example", "a.example"), ("a.example", "*.example"), ("a.example", "")],
)
def test_a_host_with_a_wildcard_meets_those_that_it_covers(older: str, younger: str) -> None:
    first, second = cookies(sticky("1", "a", host=older), sticky("2", "b", host=younger))
    assert first == "S"
    assert second != "S"


def test_hosts_that_a_wildcard_does_not_cover_keep_the_name() -> None:
    assert cookies(sticky("1", "a", host="*.example"), sticky("2", "b", host="a.b.example")) == ["S", "S"]


def test_the_cookie_of_an_endpoint_is_not_ours_to_name() -> None:
    rewrite = StickyMode.REWRITE
    assert cookies(sticky("1", "a", mode=rewrite), sticky("2", "b", mode=rewrite)) == ["S", "S"]
