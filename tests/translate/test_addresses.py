"""Addresses and ports that no EndpointSlice may send the gateway to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.translate.addresses import refused_address, refused_port


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "240.0.0.1", "255.255.255.254"],
)
def test_addresses_that_pods_have_are_allowed(address: str) -> None:
    assert refused_address(address, 4, False) == ""


@pytest.mark.parametrize("address", ["fd00::1", "2001:db8::1", "64:ff9b::a00:1", "::ffff:10.0.0.1"])
def test_ipv6_addresses_that_pods_have_are_allowed(address: str) -> None:
    assert refused_address(address, 6, False) == ""


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1.2.3",
        "169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "100.100.100.200",
        "10.0.0.1:80",
        "10.0.0",
        "localhost",
        "",
        "fd00::1",
        "010.0.0.1",
    ],
)
def test_other_ipv4_addresses_are_refused(address: str) -> None:
    assert refused_address(address, 4, False)


@pytest.mark.parametrize(
    "address",
    [
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1%eth0",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "::127.0.0.1",
        "10.0.0.1",
    ],
)
def test_other_ipv6_addresses_are_refused(address: str) -> None:
    assert refused_address(address, 6, False)


@pytest.mark.parametrize(("address", "version"), [("127.0.0.1", 4), ("::1", 6), ("::ffff:127.0.0.1", 6)])
def test_loopback_is_allowed_where_the_demo_runs_its_pods(address: str, version: int) -> None:
    assert refused_address(address, version, True) == ""


@pytest.mark.parametrize("port", [10250, 10255, 2379, 2380, 0, -1, 65536])
def test_ports_of_the_cluster_itself_are_refused(port: int) -> None:
    assert refused_port(port)


@pytest.mark.parametrize("port", [1, 80, 8080, 65535])
def test_other_ports_are_allowed(port: int) -> None:
    assert refused_port(port) == ""


@given(st.text(), st.sampled_from([4, 6]), st.booleans())
def test_no_text_raises(address: str, version: int, allow_loopback: bool) -> None:
    assert isinstance(refused_address(address, version, allow_loopback), str)
