"""HTTP/2 of the comparison: what the loads send and count, and that every proxy answers it."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hpack import Decoder

from loadtest.compare import backend, coldstreams, h2load, h2requests, load, wrk
from loadtest.compare.coldstreams import Broken, Plan
from loadtest.compare.figures import LoadError, Result
from loadtest.compare.h2requests import FRAME, NUMBER
from loadtest.compare.peers import Peer, envoy, haproxy, nginx
from loadtest.compare.rows import ROWS, Heads, Row, select
from loadtest.kit import certificate
from loadtest.kit.fleetgate import Fleetgate
from loadtest.kit.programs import Missing
from loadtest.kit.site import HOST, Site, free_clusters
from loadtest.ports import free_ports

CORE = min(os.sched_getaffinity(0))
FIND: dict[str, Callable[[], Peer]] = {
    "nginx": nginx.find,
    "haproxy": haproxy.find,
    "envoy": envoy.find,
    "fleetgate": lambda: Fleetgate("fleetgate", sys.executable),
}
H2LOAD = """
finished in 2.00s, 20951.00 req/s, 1.42MB/s
requests: 41902 total, 42158 started, 41902 done, 41895 succeeded, 7 failed, 3 errored, 0 timeout
status codes: 41895 2xx, 0 3xx, 0 4xx, 4 5xx
traffic: 1.42MB (1487970) total, 982.13KB (1005696) headers (space savings 51.02%), 102.30KB (104755) data
                     min         max         mean         sd        +/- sd
time for request:     1.55ms     26.10ms     11.61ms      4.36ms    64.53%
"""
DEADLINE_S = 10.0
ROUND_S = 0.5
END_STREAM, ACK = 1, 1
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 7, 8


@contextmanager
def served(name: str, row: Row, directory: Path) -> Iterator[int]:
    """Run a proxy as the row asks for it, and the backends behind it; yield its port."""
    (directory / "proxy").mkdir()
    (directory / "backend").mkdir()
    try:
        nginx.find()
        peer = FIND[name]()
    except Missing as reason:
        pytest.skip(str(reason))
    pair = certificate.made(directory / "proxy", HOST) if row.tls else None
    site = Site(directory / "proxy", free_ports(1)[0], free_clusters(), pair, row.http2)
    with backend.started(row.origin, site.backends, directory / "backend", (CORE,)):
        running = peer.start(site, CORE)
        try:
            yield site.port
        finally:
            running.stop()


@pytest.mark.parametrize("name", ["h2c-cold", "h2c-100KB-cold", "h2c-post-cold", "h2-tls-10KB-cold"])
@pytest.mark.parametrize("peer", FIND)
def test_every_proxy_answers_requests_that_are_all_different(peer: str, name: str, tmp_path: Path) -> None:
    row = select([name])[0]
    path = tmp_path / "requests"
    h2requests.write(path, row, total=640)  # 40 for a connection: used up again and again
    with served(peer, row, tmp_path) as port:
        plan = Plan(
            port, row.connections, row.streams, ROUND_S,
            coldstreams.context() if row.tls else None, row.body_bytes,
        )  # fmt: skip
        seen = coldstreams.load(plan, h2requests.read(path))
    assert (seen.errors, seen.first_error) == (0, "")
    assert seen.requests > 0
    assert 0 < seen.p50_ms <= seen.p99_ms


@pytest.mark.parametrize("name", ["h2c-warm", "h2c-query", "h2-tls-warm"])
def test_a_row_of_http2_is_loaded_by_a_program(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("h2load") is None:
        pytest.skip("h2load is not installed")
    monkeypatch.setattr(h2requests, "TOTAL", 640)
    row = select([name])[0]
    prepared = load.prepare(row, tmp_path)
    with served("nginx", row, tmp_path) as port:
        seen = load.run(row, prepared, port, 1, (CORE,))
    assert seen.errors == 0
    assert seen.requests > 0
    assert 0 < seen.p50_ms <= seen.p99_ms


def test_the_output_of_h2load_is_understood() -> None:
    times = "".join(f"179613879530{number}\t200\t{number * 1000}\n" for number in range(101))
    assert h2load.parse(H2LOAD, times, 2.1) == Result(41902, 2.1, 20951.0, 50.0, 99.0, 7)
    with pytest.raises(LoadError, match="unexpected"):
        h2load.parse("nothing", times, 2.1)


def test_only_the_programs_that_rows_need_have_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert load.versions(select(["h2c-cold", "h2c-query"])) == {}
    with pytest.raises(LoadError, match="nghttp2-client"):
        load.versions(select(["h2c-*"]))
    with pytest.raises(LoadError, match="apt install wrk"):
        load.versions(select(["90B-32-warm"]))


def test_rows_of_http1_have_one_request_at_a_time() -> None:
    assert {row.streams for row in ROWS if not row.http2} == {1}
    assert {row.heads for row in ROWS if not row.http2} == {Heads.WARM, Heads.COLD}


# What the loader of different requests sends


def decoded(path: Path) -> list[list[dict[str, str]]]:
    """Return the fields of all requests, for each list."""
    lists = []
    for requests in h2requests.read(path):
        decoder = Decoder()
        fields = []
        for number, (start, end) in enumerate(zip(requests.ends, requests.ends[1:], strict=False)):
            word, _, stream = FRAME.unpack_from(requests.frames, start)
            assert (word >> 8, word & 0xFF, stream) == (end - start - FRAME.size, HEADERS, 2 * number + 1)
            block = requests.frames[start + FRAME.size : end]
            fields.append({str(name): str(value) for name, value in decoder.decode(block)})
        lists.append(fields)
    return lists


@pytest.mark.parametrize(
    ("name", "own"),
    [("h2c-query", {":path"}), ("h2-tls-cold", {":path", "cookie", "traceparent"})],
)
def test_what_is_the_requests_own_never_repeats_and_the_rest_does(
    name: str, own: set[str], tmp_path: Path
) -> None:
    row = select([name])[0]
    h2requests.write(tmp_path / "requests", row, total=160)
    lists = decoded(tmp_path / "requests")
    requests = [each for fields in lists for each in fields]
    assert [len(fields) for fields in lists] == [10] * 16
    for field in requests[0]:
        assert len({each[field] for each in requests}) == (160 if field in own else 1)
    assert requests[0][":authority"] == HOST
    assert requests[0][":scheme"] == ("https" if row.tls else "http")
    names = {field.lower() for field in wrk.HEADERS} - {"host"}
    assert names <= requests[0].keys()


def test_each_connection_has_a_list_of_its_own(tmp_path: Path) -> None:
    row = replace(select(["h2c-query"])[0], connections=20)
    h2requests.write(tmp_path / "requests", row, total=160)
    assert len(h2requests.read(tmp_path / "requests")) == 20


# What the loader of different requests counts


class Server:
    """A server of one connection after another: it sends each the same bytes after its settings."""

    def __init__(self, answer: bytes, settings: bytes = b"") -> None:
        self._answer = answer
        self._settings = FRAME.pack(len(settings) << 8 | SETTINGS, 0, 0) + settings
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.received: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # ends accept()
        self._thread.join(DEADLINE_S)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(DEADLINE_S)
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        received = b""
        has_answered = False
        try:
            connection.sendall(self._settings)
            while data := connection.recv(65536):
                received += data
                if not has_answered and FRAME.pack(SETTINGS, ACK, 0) in received:
                    connection.sendall(self._answer)
                    has_answered = True
        except OSError:
            pass
        self.received.append(received)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return FRAME.pack(len(payload) << 8 | kind, flags, stream) + payload


def counted(
    answer: bytes, tmp_path: Path, *, settings: bytes = b"", streams: int = 4, body_bytes: int = 0
) -> tuple[coldstreams.Seen, list[bytes]]:
    """Load a server that answers with these bytes, by one connection."""
    row = replace(select(["h2c-query"])[0], connections=1, body_bytes=body_bytes)
    h2requests.write(tmp_path / "requests", row, total=160)
    with Server(answer, settings) as server:
        plan = Plan(server.port, 1, streams, ROUND_S, body_bytes=body_bytes)
        seen = coldstreams.load(plan, h2requests.read(tmp_path / "requests"))
    return seen, server.received


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the loader give up after the second connection that breaks."""
    monkeypatch.setattr(coldstreams, "MOST_BROKEN", 1)


def test_responses_count_when_they_are_whole(tmp_path: Path) -> None:
    whole = (
        frame(HEADERS, END_STREAM, 1, b"\x88") + frame(HEADERS, 0, 3, b"\x20\x88") + frame(DATA, 1, 3, b"x")
    )
    begun = frame(HEADERS, 0, 5, b"\x3f\xe1\x1f\x88") + frame(DATA, 0, 5, b"x" * 100)
    seen, _ = counted(whole + begun, tmp_path)
    assert (seen.requests, seen.errors) == (2, 0)


def test_other_statuses_and_resets_are_errors(tmp_path: Path) -> None:
    refused = frame(HEADERS, END_STREAM, 1, b"\x8d") + frame(RST_STREAM, 0, 3, NUMBER.pack(7))
    # Behind its response a reset says only that no more of the request is read
    answered = frame(HEADERS, END_STREAM, 5, b"\x88") + frame(RST_STREAM, 0, 5, NUMBER.pack(0))
    seen, _ = counted(refused + answered, tmp_path)
    assert (seen.requests, seen.errors) == (3, 2)
    assert seen.first_error == "a response is not 200"


@pytest.mark.usefixtures("impatient")
def test_a_server_that_says_goodbye_breaks_the_requests_in_flight(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="GOAWAY with the code 11"):
        counted(frame(GOAWAY, 0, 0, NUMBER.pack(0) + NUMBER.pack(11)), tmp_path)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_answers_unasked_is_not_counted(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="nothing asked for"):
        counted(frame(HEADERS, END_STREAM, 99, b"\x88"), tmp_path)


def test_windows_are_given_back(tmp_path: Path) -> None:
    large = frame(HEADERS, 0, 1, b"\x88") + frame(DATA, 0, 1, b"x" * 16384) * 3
    _, received = counted(large, tmp_path)
    assert frame(WINDOW_UPDATE, 0, 1, NUMBER.pack(2 * 16384)) in received[0]


def test_requests_in_flight_are_as_many_as_the_server_permits(tmp_path: Path) -> None:
    _, received = counted(b"", tmp_path, settings=coldstreams.SETTING.pack(3, 2))
    assert sent_streams(received[0]) == [1, 3]


def test_bodies_wait_for_the_window(tmp_path: Path) -> None:
    _, received = counted(b"", tmp_path, streams=10, body_bytes=16384)
    assert sent_streams(received[0]) == [1, 3, 5]  # 65,535 bytes hold three
    more = frame(WINDOW_UPDATE, 0, 0, NUMBER.pack(16384))
    _, received = counted(more, tmp_path, streams=10, body_bytes=16384)
    assert sent_streams(received[0]) == [1, 3, 5, 7]


@pytest.mark.usefixtures("impatient")
def test_a_server_whose_table_is_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="no table of 4096 bytes"):
        counted(b"", tmp_path, settings=coldstreams.SETTING.pack(1, 1024))


def sent_streams(received: bytes) -> list[int]:
    """Return the streams that a client opened."""
    streams = []
    at = received.index(b"SM\r\n\r\n") + 6
    while at < len(received):
        word, _, stream = FRAME.unpack_from(received, at)
        if word & 0xFF == HEADERS:
            streams.append(stream)
        at += FRAME.size + (word >> 8)
    return streams


def test_the_loader_says_what_it_could_not_do(tmp_path: Path) -> None:
    row = select(["h2c-query"])[0]
    h2requests.write(tmp_path / "requests", row, total=160)
    with pytest.raises(LoadError, match="Connection refused"):
        coldstreams.run(row, tmp_path / "requests", free_ports(1)[0], 1, (CORE,))


def test_h2load_that_is_stuck_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(command: list[str], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, 31)

    monkeypatch.setattr(subprocess, "run", stuck)
    row = select(["h2c-warm"])[0]
    with pytest.raises(LoadError, match="did not end within 31 s"):
        h2load.run(row, h2load.prepare(row, tmp_path), 1, 1, (CORE,))
