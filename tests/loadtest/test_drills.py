"""The drills: what they see of the wire and of answers, and, as small as they can be, that they drill."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtest.drills import site
from loadtest.drills.drills import select
from loadtest.drills.load import MIXED_UP, Load
from loadtest.drills.network import Network
from loadtest.drills.peers import envoy, haproxy, nginx
from loadtest.drills.wire import SYN, Sent, Stream, parse
from loadtest.kit.processes import Started
from loadtest.kit.programs import Missing
from loadtest.ports import free_port

PROJECT = Path(__file__).parents[2]


def packet(port: int, sequence: int, flags: int, payload: bytes) -> bytes:
    """An IPv4 packet with a TCP segment, without checksums."""
    tcp = b"\x30\x39" + port.to_bytes(2) + sequence.to_bytes(4) + bytes(4) + bytes([0x50, flags]) + bytes(6)
    ip = b"\x45\x00" + (40 + len(payload)).to_bytes(2) + bytes(4) + b"\x40\x06" + bytes(2) + bytes(8)
    return ip + tcp + payload


def test_on_the_wire_only_what_is_new_counts() -> None:
    stream = Stream()
    get = b"GET /svc1/abc HTTP/1.1\r\n"
    seen = [
        stream.first(packet(80, 99, 0x02, b"")),
        stream.first(packet(80, 99, 0x02, b"")),  # the SYN again
        stream.first(packet(80, 100, 0x10, b"")),  # an ACK
        stream.first(packet(80, 100, 0x18, get)),
        stream.first(packet(80, 100, 0x18, get)),  # again
        stream.first(packet(80, 100 + len(get), 0x18, b"POST /svc1/abd HTTP/1.1\r\n")),
    ]
    assert seen == [(80, SYN, ""), None, None, (80, "GET", "abc"), None, (80, "POST", "abd")]


def test_the_lines_of_the_wire_are_read() -> None:
    assert parse("\n1.5 80 SYN \n2.5 80 GET a\n2.6 80 G") == [
        Sent(1.5, 80, SYN, ""),
        Sent(2.5, 80, "GET", "a"),
    ]


def test_an_unknown_drill_is_said_to_be_unknown() -> None:
    with pytest.raises(ValueError, match=r"no drill matches 'fire'; there are removed, refused, "):
        select(["fire"])


@pytest.mark.parametrize(
    "answer",
    [
        b"Content-Length: 5\r\n\r\nother",
        b"Content-Length: 11\r\n\r\nx000000 1-1",  # from where, the head does not say
        b"X-Arrival: 1-1\r\nContent-Length: 11\r\n\r\nx000009 1-1",
        b"X-Arrival: 1-1\r\nContent-Length: 11\r\n\r\nx000000 1-2",  # head and body of two attempts
    ],
)
async def test_the_answer_to_another_request_is_noticed(answer: bytes) -> None:
    assert await statuses(b"HTTP/1.1 200 OK\r\n" + answer) == [MIXED_UP]


async def test_an_answer_is_known_by_id_and_arrival() -> None:
    body = b"Content-Length: 11\r\n\r\nx000000 1-1"
    assert await statuses(b"HTTP/1.1 200 OK\r\nx-arrival: 1-1\r\n" + body) == [200]
    assert await statuses(b"HTTP/1.1 503 Service Unavailable\r\nX-Arrival: 1-2\r\n" + body) == [MIXED_UP]
    assert await statuses(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n") == [503]


async def statuses(response: bytes) -> list[int]:
    """Return what becomes of one request that is answered so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    load = Load(server.sockets[0].getsockname()[1], 20, "x")
    await load.run(asyncio.get_running_loop().time(), 0.05)
    load.close()
    server.close()
    return [each.status for each in load.requests]


def ask(port: int, identity: str) -> bytes:
    """Return an endpoint's answer, without its first line."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(f"GET /svc1/{identity} HTTP/1.1\r\n\r\n".encode())
        answer = b""
        while answer[-2:-1] != b"-":  # the number of an arrival has one digit here
            answer += sock.recv(1000)
    return answer.partition(b"\r\n")[2]


def test_no_two_arrivals_at_an_endpoint_have_one_name(tmp_path: Path) -> None:
    """Not even before and after it was killed."""
    port = free_port()
    command = [sys.executable, "-m", "loadtest.drills.origin", "127.0.0.1", str(port), str(tmp_path)]
    for first in (1, 3):
        (tmp_path / f"{port}.control").unlink(missing_ok=True)
        origin = Started(command, tmp_path, (0,), environment={**os.environ, "PYTHONPATH": str(PROJECT)})
        try:
            origin.wait_for_port(port)
            for number in (first, first + 1):
                answer = ask(port, "a").decode()
                assert f"X-Arrival: {port}-{number}\r\n" in answer
                assert answer.endswith(f"\r\n\r\na {port}-{number}")
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                sock.sendall(b"OPTIONS * HTTP/1.1\r\n\r\n")  # what a proxy asks for itself
                assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        finally:
            origin.stop()
    lines = (tmp_path / f"{port}.log").read_text().splitlines()
    assert [line.split(" ")[1:] for line in lines] == [["GET", "a", f"{port}-{n}"] for n in (1, 2, 3, 4)]


def test_a_worker_may_come_after_its_master(tmp_path: Path) -> None:
    program = "import subprocess, time; time.sleep(0.2); subprocess.run(['sleep', '60'])"
    master = Started([sys.executable, "-c", program], tmp_path, (0,))
    try:
        worker = nginx.first_child(master)
        assert Path(f"/proc/{worker}/status").read_text().count(f"PPid:\t{master.pid}\n") == 1
        os.kill(worker, signal.SIGKILL)
    finally:
        master.stop()


@pytest.mark.parametrize("find", [nginx.find, haproxy.find, envoy.find])
def test_the_peer_accepts_its_configuration(
    find: Callable[[], nginx.Nginx | haproxy.HAProxy | envoy.Envoy], tmp_path: Path
) -> None:
    try:
        peer = find()
    except Missing as reason:
        pytest.skip(str(reason))
    command = peer.check_command(site.new(tmp_path, site.LOOPBACK))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_network_is_removed_again() -> None:
    try:
        with Network() as network:
            name = network.enter[-1]
            network.cut()
            network.restore()
            assert name in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    except Missing as reason:
        pytest.skip(str(reason))
    assert name not in subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout


def test_a_small_drill_drills(tmp_path: Path, cores: tuple[int, int]) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "loadtest.drills", "--drills", "removed", "refused"),
            *("--peers", "--rate", "40"),
            *("--before-s", "1", "--fault-s", "1", "--after-s", "1"),
            *("--proxy-core", str(cores[0]), "--load-core", str(cores[1])),
            *("--json", str(tmp_path / "r.json"), "--markdown", str(tmp_path / "r.md")),
        ],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr  # 1: p99 is not what it was, on a busy machine
    runs = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert [run["drill"] for run in runs] == ["removed", "refused"]
    for run in runs:
        assert (run["peer"], run["requests"]) == ("fleetgate", 120)
        assert (run["failed_gets"], run["duplicate_posts"], run["lost"], run["mixed_up"]) == (0, 0, 0, 0)
        assert 0.8 <= run["survivor"] <= 1.2
        assert f"| {run['drill']} | fleetgate |" in (tmp_path / "r.md").read_text()
