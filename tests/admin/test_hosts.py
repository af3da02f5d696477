"""The Host field of the admin API: an address or a known name, and nothing that only looks like one."""

import asyncio
import socket

import pytest

from controlplane.admin.hosts import is_known
from controlplane.admin.server import AdminServer
from tests.admin.test_api import Fixed
from tests.support.admintoken import token_file
from tests.support.states import serving

NAMES = frozenset({"localhost", "gateway.example.com"})


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:9901",
        "10.1.2.3:1",
        "127.0.0.1:65535",
        "127.0.0.1:00080",
        "[::1]",
        "[::1]:9901",
        "[2001:DB8::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "LOCALHOST:9901",
        "gateway.example.com",
        "Gateway.Example.Com:80",
    ],
)
def test_an_address_or_a_known_name_passes(host: str) -> None:
    assert is_known(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "evil.com",
        "evil.com:9901",
        "[127.0.0.1].evil.com",
        "[127.0.0.1].evil.com:9901",
        "[::1].evil.com",
        "[::1]evil.com:80",
        "[127.0.0.1]",
        "[localhost]",
        "[::1",
        "::1]",
        "[]",
        "[]:80",
        "[::1]:",
        "[::1]:80:80",
        "[::1%lo]",
        "[::1%25lo]",
        "[fe80::1%evil.com]",
        "fe80::1%eth0",
        "[v1.fe80::a+en1]",
        "::1",
        "::ffff:127.0.0.1",
        "2001:db8::1",
        "127.0.0.1.",
        "localhost.",
        "gateway.example.com.",
        ".localhost",
        "localhost.evil.com",
        "127.0.0.1.evil.com",
        "127.0.0.1@evil.com",
        "evil.com@127.0.0.1",
        "user:password@127.0.0.1",
        "127.0.0.1:80@evil.com",
        "127.0.0.1:",
        "127.0.0.1:80x",
        "127.0.0.1:-80",
        "127.0.0.1:+80",
        "127.0.0.1: 80",
        "127.0.0.1:65536",
        "127.0.0.1:99999",
        "127.0.0.1:999999",
        "127.0.0.1:80:80",
        "127.0.0.1/evil.com",
        "127.0.0.1,evil.com",
        "127.0.0.1 evil.com",
        "127.0.0.1\tevil.com",
        "127.0.0.1#evil.com",
        "127.0.0.1?evil.com",
        "127.0.0.1\\evil.com",
        "127.0.0.1;evil.com",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "2130706433",
        "127.0.0.01",
        "127.0.0.256",
        "%31%32%37.0.0.1",
        "loc%61lhost",
        "l\u00f6calhost",
        "\u0661\u0662\u0667.0.0.1",
        "http://127.0.0.1",
        "a" * 300,
    ],
)
def test_other_hosts_are_refused(host: str) -> None:
    assert not is_known(host, NAMES)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("Host: 127.0.0.1",), 200),
        (("Host: [127.0.0.1].evil.com",), 421),
        (("Host: evil.com", "Host: 127.0.0.1"), 400),
        (("Host: 127.0.0.1", "Host: 127.0.0.1"), 400),
        (("Host:",), 421),
        ((), 400),
    ],
)
async def test_the_server_asks_for_exactly_one(lines: tuple[str, ...], status: int) -> None:
    server = AdminServer("127.0.0.1", 0, ())
    await server.start(Fixed(serving()), token_file())
    try:
        head = "\r\n".join(("GET /livez HTTP/1.1", *lines, "Connection: close", "", "")).encode()
        assert await _status(server.address, head) == status
        unversioned = b"GET /livez HTTP/1.0\r\n\r\n"  # may come without a Host, which then says nothing
        assert await _status(server.address, unversioned) == 421
    finally:
        await server.stop()


async def _status(address: str, head: bytes) -> int:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
    try:
        writer.write(head)
        return int((await asyncio.wait_for(reader.read(), 5)).split()[1])
    finally:
        writer.close()
