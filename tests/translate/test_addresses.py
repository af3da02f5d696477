"""Addresses and ports that no EndpointSlice may send the gateway to."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.translate.addresses import refused_address, refused_port


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "8.8.8.8",
        "240.0.0.1",
        "255.255.255.254",
        "198.18.0.1",
        "192.0.2.1",
        "168.63.129.15",
        "192.0.1.1",
    ],
)
def test_addresses_that_pods_have_are_allowed(address: str) -> None:
    assert refused_address(address, 4, False) == ""


@pytest.mark.parametrize(
    "address",
    [
        "fd00::1",
        "2001:db8::1",
        "2a00::1",
        "64:ff9b::a00:1",
        "::ffff:10.0.0.1",
        "2002:a00:1::",
        "fd00::5efe:a00:1",
        "fd20:ce:1::254",
        "2001:200::1",
        "::ffff:0:10.0.0.1",
    ],
)
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
        "168.63.129.16",
        "192.0.0.192",
        "192.0.0.170",
        "192.88.99.1",
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
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
        "fd00:a9fe:a9fe::1",
        "64:ff9b:1::1",
        "64:ff9b:1:fffe::a9fe:a9fe",
        "2001::1",  # Teredo
        "2001:0:53aa:64c:0:0:5601:5601",
        "2001:2::1",
        "2001:20::1",
        "100::1",
        "fec0::1",
        # what they embed is refused
        "64:ff9b::a83f:8110",
        "::ffff:192.0.0.192",
        "::ffff:0:169.254.169.254",
        "::168.63.129.16",
        "2002:a9fe:a9fe::1",
        "2002:c000:c0::",
        "fd00::5efe:a9fe:a9fe",
        "2001:db8::200:5efe:7f00:1",
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


def test_the_cause_names_what_is_embedded() -> None:
    assert refused_address("64:ff9b::a9fe:a9fe", 6, False).endswith("metadata services are (169.254.169.254)")
    assert "tunnel" in refused_address("2001::1", 6, False)


@given(st.ip_addresses(v=4), st.booleans())
def test_an_embedded_address_is_judged_like_itself(address: IPv4Address, allow_loopback: bool) -> None:
    digits = f"{int(address) >> 16:x}:{int(address) & 0xFFFF:x}"
    itself = bool(refused_address(str(address), 4, allow_loopback))
    if int(address) > 1:  # :: and ::1 are themselves
        assert bool(refused_address(f"::{digits}", 6, allow_loopback)) is itself
    for prefix in ("::ffff:", "::ffff:0:", "64:ff9b::", "fd00::5efe:"):
        assert bool(refused_address(f"{prefix}{digits}", 6, allow_loopback)) is itself
    assert bool(refused_address(f"2002:{digits}::1", 6, allow_loopback)) is itself
