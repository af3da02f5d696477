"""A loader of HTTP/2 whose requests are all different: h2load repeats one head.

    python -m loadtest.compare.coldstreams FILE --port N --connections N --streams N --seconds N [--tls]

It sends bytes that `h2requests` has made, keeps a number of requests in flight on each connection, and
counts responses without decoding them, so that it costs less than a proxy. A connection whose requests are
used up is replaced by one with the next list. The program prints its figures as JSON.
"""

import argparse
import json
import selectors
import socket
import ssl
import struct
import subprocess
import sys
from array import array
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic, process_time

from loadtest.compare import h2requests
from loadtest.compare.figures import LoadError, Result, percentile
from loadtest.compare.h2load import CONNECTION_WINDOW_BITS, MORE_S
from loadtest.compare.h2requests import END_STREAM, FRAME, NUMBER, RequestList
from loadtest.compare.rows import Row
from loadtest.kit.processes import module, on_cores, own_environment

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, PADDED, PRIORITY = 0x1, 0x8, 0x20
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 3, 4
SETTING = struct.Struct(">HI")
HEAD_BYTES = 9
STATUS_200 = 0x88
"""The header field `:status: 200` of the static table: every proxy begins a response with it."""
TABLE_SIZE_UPDATE, TABLE_SIZE_MASK = 0x20, 0xE0
STREAM_WINDOW = (1 << 16) - 1  # the one that the protocol begins with, as h2load has it here
CONNECTION_WINDOW = (1 << CONNECTION_WINDOW_BITS) - 1
TABLE_BYTES = 4096
"""Size of the table that the requests are encoded for; a proxy that permits less cannot be asked."""
BUFFER_BYTES = 1 << 17
CONNECT_S = 5.0
MOST_BROKEN = 100
"""Connections that may break in a run before it is given up."""

PREFACE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + FRAME.pack(SETTING.size << 8 | SETTINGS, 0, 0)
    + SETTING.pack(2, 0)  # no pushes
    + FRAME.pack(NUMBER.size << 8 | WINDOW_UPDATE, 0, 0)
    + NUMBER.pack(CONNECTION_WINDOW - STREAM_WINDOW)
)
SETTINGS_ACK = FRAME.pack(SETTINGS, ACK, 0)


def prepare(row: Row, directory: Path) -> Path:
    """Write the requests of a row, for every proxy and round."""
    path = directory / f"{row.name}.requests"
    h2requests.write(path, row)
    return path


def run(row: Row, prepared: Path, port: int, seconds: int, cores: tuple[int, ...]) -> Result:
    """Load the proxy on `port` with one process that runs on the cores. Raises LoadError."""
    command = module(
        "loadtest.compare.coldstreams",
        *(str(prepared), "--port", str(port), "--seconds", str(seconds)),
        *("--connections", str(row.connections), "--streams", str(row.streams)),
        *("--body-bytes", str(row.body_bytes), *(("--tls",) if row.tls else ())),
    )
    with on_cores(*cores):
        try:
            done = subprocess.run(
                command, env=own_environment(), capture_output=True, text=True, check=False,
                timeout=seconds + MORE_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"{command} did not end within {error.timeout:g} s") from error
    if done.returncode:
        raise LoadError(f"{command} failed: {done.stdout}{done.stderr}")
    seen = json.loads(done.stdout)
    return Result(
        requests=seen["requests"],
        elapsed_s=seen["elapsed_s"],
        requests_per_s=seen["requests"] / seen["elapsed_s"],
        p50_ms=seen["p50_ms"],
        p99_ms=seen["p99_ms"],
        errors=seen["errors"],
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """The load that one proxy gets."""

    port: int
    connections: int
    streams: int
    seconds: float
    tls: ssl.SSLContext | None = None
    body_bytes: int = 0


@dataclass(slots=True)
class Tally:
    """Counts of all connections."""

    requests: int = 0
    errors: int = 0
    broken: int = 0  # connections that ended before their requests did
    first_error: str = ""
    times_s: list[float] = field(default_factory=list)

    def count_error(self, reason: str, requests: int = 1) -> None:
        self.errors += requests
        self.first_error = self.first_error or reason


@dataclass(frozen=True, slots=True)
class Seen:
    """The figures that are printed."""

    requests: int
    elapsed_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    first_error: str
    own_cpu_us: float  # of the loader, per request


class Broken(Exception):
    """A connection cannot go on; the message says why."""


class Connection:
    """One connection and its list of requests.

    A request in flight is known by its place in the list: the stream 2n + 1 has the request n.
    """

    def __init__(self, plan: Plan, requests: RequestList, tally: Tally) -> None:
        """Connect. Raises OSError."""
        self._plan = plan
        self._requests = requests
        self._tally = tally
        self._body = b"x" * plan.body_bytes
        plain = socket.create_connection(("127.0.0.1", plan.port), timeout=CONNECT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setblocking(False)
        self._tls = plan.tls is not None
        self.socket = (
            plan.tls.wrap_socket(plain, do_handshake_on_connect=False) if plan.tls is not None else plain
        )
        self._shakes_hands = self._tls
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._filled = 0
        self._out = bytearray(PREFACE)
        self._sent = 0  # requests
        self._done = bytearray(len(requests))  # 1: has its response
        self._completed = 0
        self._started = array("d", bytes(8 * len(requests)))
        self._most = 0  # requests in flight; none before the proxy's settings
        self._send_window = STREAM_WINDOW  # of the connection, for bodies
        self._unacknowledged = 0  # bytes of DATA since the connection's last WINDOW_UPDATE
        self._of_stream: dict[int, int] = {}  # the same for streams that go on

    @property
    def wants_to_write(self) -> bool:
        return bool(self._out) and not self._shakes_hands

    @property
    def is_used_up(self) -> bool:
        return self._completed == len(self._requests)

    @property
    def in_flight(self) -> int:
        return self._sent - self._completed

    def close(self) -> None:
        self.socket.close()

    def on_event(self, now: float) -> None:
        """Read what there is, count it, send what is due. Raises Broken, OSError."""
        try:
            if self._shakes_hands:
                self._shake_hands()
            self._read(now)
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        if not self._shakes_hands:
            self._ask(now)
            self._flush()

    def _shake_hands(self) -> None:
        assert isinstance(self.socket, ssl.SSLSocket)
        self.socket.do_handshake()
        if self.socket.selected_alpn_protocol() != "h2":
            raise Broken("the proxy does not agree to HTTP/2")
        self._shakes_hands = False

    def _read(self, now: float) -> None:
        """Take what one call gives: epoll tells of the rest again."""
        count = self.socket.recv_into(self._buffer[self._filled :])
        if not count:
            raise Broken("the proxy closed the connection")
        end = self._filled + count
        at = self._parse(end, now)
        self._filled = end - at
        if at and self._filled:
            self._buffer[: self._filled] = bytes(self._buffer[at:end])

    def _parse(self, end: int, now: float) -> int:
        """Count the frames in the buffer; return where the first one that is not whole begins."""
        buffer = self._buffer
        head_of = FRAME.unpack_from
        at = 0
        last = end - HEAD_BYTES
        responses = []
        while at <= last:
            word, flags, stream = head_of(buffer, at)
            payload = at + HEAD_BYTES
            after = payload + (word >> 8)
            if after > end:
                break
            kind = word & 0xFF
            if kind == DATA:
                self._unacknowledged += word >> 8
                if flags & END_STREAM:
                    responses.append(stream >> 1)
                else:
                    self._take(word >> 8, stream)
            elif kind == HEADERS:
                if buffer[payload] != STATUS_200 and not self._is_good(payload, flags):
                    self._tally.count_error("a response is not 200")
                if flags & END_STREAM:
                    responses.append(stream >> 1)
            elif kind == RST_STREAM:
                self._end(stream >> 1, NUMBER.unpack_from(buffer, payload)[0], responses)
            else:
                self._control(kind, flags, stream, buffer[payload:after])
            at = after
        self._complete(responses, now)
        if self._unacknowledged > CONNECTION_WINDOW // 2:
            self._out += _window_update(0, self._unacknowledged)
            self._unacknowledged = 0
        return at

    def _is_good(self, at: int, flags: int) -> bool:
        """Say whether a header block whose first byte is not that status begins with it nevertheless."""
        at += (1 if flags & PADDED else 0) + (5 if flags & PRIORITY else 0)
        while self._buffer[at] & TABLE_SIZE_MASK == TABLE_SIZE_UPDATE:
            at += 1  # sizes of 31 and more go on in further bytes, all of which but the last are above 127
            if self._buffer[at - 1] & 0x1F == 0x1F:
                while self._buffer[at] & 0x80:
                    at += 1
                at += 1
        return self._buffer[at] == STATUS_200

    def _end(self, number: int, code: int, responses: list[int]) -> None:
        """Count a request that is reset; behind its response a reset only says that no more is read of it."""
        if number in responses or (number < self._sent and self._done[number]):
            return
        self._tally.count_error(f"RST_STREAM with the code {code}")
        responses.append(number)

    def _complete(self, numbers: list[int], now: float) -> None:
        started = self._started
        for number in numbers:
            if number >= self._sent or self._done[number]:
                raise Broken("a response that nothing asked for")
            self._done[number] = 1
        self._tally.times_s += [now - started[number] for number in numbers]
        self._completed += len(numbers)
        self._tally.requests += len(numbers)
        if self._of_stream:
            for number in numbers:
                self._of_stream.pop(2 * number + 1, None)

    def _take(self, size: int, stream: int) -> None:
        """Give the proxy the window of a stream that goes on when half of it is used."""
        taken = self._of_stream.get(stream, 0) + size
        if taken > STREAM_WINDOW // 2:
            self._out += _window_update(stream, taken)
            taken = 0
        self._of_stream[stream] = taken

    def _control(self, kind: int, flags: int, stream: int, payload: memoryview) -> None:
        if kind == SETTINGS and not flags & ACK:
            self._agree(payload)
        elif kind == PING and not flags & ACK:
            self._out += FRAME.pack(len(payload) << 8 | PING, ACK, 0) + payload
        elif kind == WINDOW_UPDATE and not stream:
            self._send_window += NUMBER.unpack(payload)[0]
        elif kind == GOAWAY:
            raise Broken(f"GOAWAY with the code {NUMBER.unpack_from(payload, 4)[0]}")

    def _agree(self, payload: memoryview) -> None:
        settings = dict(SETTING.iter_unpack(payload))
        if settings.get(HEADER_TABLE_SIZE, TABLE_BYTES) < TABLE_BYTES:
            raise Broken("the proxy permits no table of 4096 bytes, for which the requests are made")
        if settings.get(INITIAL_WINDOW_SIZE, STREAM_WINDOW) < self._plan.body_bytes:
            raise Broken("the proxy's window for a stream does not hold the body of a request")
        self._most = min(self._plan.streams, settings.get(MAX_CONCURRENT_STREAMS, self._plan.streams))
        self._out += SETTINGS_ACK

    def _ask(self, now: float) -> None:
        """Send as many requests as are missing in flight; bodies go whole, when the window lets them."""
        first = self._sent
        last = min(self._completed + self._most, len(self._requests))
        if self._body:
            last = min(last, first + self._send_window // self._plan.body_bytes)
        if last <= first:
            return
        frames, ends = self._requests.frames, self._requests.ends
        self._sent = last
        self._started[first:last] = array("d", [now]) * (last - first)
        if not self._body:
            self._out += frames[ends[first] : ends[last]]
            return
        self._send_window -= (last - first) * self._plan.body_bytes
        for number in range(first, last):
            self._out += frames[ends[number] : ends[number + 1]]
            self._out += FRAME.pack(self._plan.body_bytes << 8 | DATA, END_STREAM, 2 * number + 1)
            self._out += self._body

    def _flush(self) -> None:
        if not self._out:
            return
        try:
            sent = self.socket.send(self._out)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
            return
        del self._out[:sent]


def _window_update(stream: int, size: int) -> bytes:
    return FRAME.pack(NUMBER.size << 8 | WINDOW_UPDATE, 0, stream) + NUMBER.pack(size)


def load(plan: Plan, lists: list[RequestList]) -> Seen:
    """Load a proxy. Raises OSError when it refuses a connection, Broken when too many break."""
    tally = Tally()
    own_cpu_s = process_time()
    started = now = monotonic()
    with selectors.DefaultSelector() as selector:
        crew = _Crew(plan, lists, tally, selector)
        try:
            for _ in range(plan.connections):
                crew.add()
            while (left := started + plan.seconds - now) > 0:
                ready = selector.select(left)
                now = monotonic()
                for key, _ in ready:
                    crew.serve(key.data, now)
        finally:
            crew.close()
    times_ms = sorted(time * 1e3 for time in tally.times_s)
    return Seen(
        requests=tally.requests,
        elapsed_s=now - started,
        p50_ms=percentile(times_ms, 50),
        p99_ms=percentile(times_ms, 99),
        errors=tally.errors,
        first_error=tally.first_error,
        own_cpu_us=(process_time() - own_cpu_s) * 1e6 / max(1, tally.requests),
    )


class _Crew:
    """The connections that are open at the moment, and the lists that are dealt to them in turn."""

    def __init__(
        self, plan: Plan, lists: list[RequestList], tally: Tally, selector: selectors.BaseSelector
    ) -> None:
        self._plan = plan
        self._lists = lists
        self._tally = tally
        self._selector = selector
        self._next = 0
        self._writing: set[Connection] = set()

    def add(self) -> None:
        """Open a connection with the next list; it begins when it can write. Raises OSError."""
        connection = Connection(self._plan, self._lists[self._next % len(self._lists)], self._tally)
        self._next += 1
        self._selector.register(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
        self._writing.add(connection)

    def serve(self, connection: Connection, now: float) -> None:
        """Let a connection read and write; replace it when its requests are used up, or when it broke."""
        try:
            connection.on_event(now)
        except (Broken, OSError) as error:
            self._tally.count_error(str(error) or type(error).__name__, max(1, connection.in_flight))
            self._tally.broken += 1
            if self._tally.broken > MOST_BROKEN:
                raise Broken(
                    f"more than {MOST_BROKEN} connections broke: {self._tally.first_error}"
                ) from error
            self._replace(connection)
            return
        if connection.is_used_up:
            self._replace(connection)
        elif connection.wants_to_write != (connection in self._writing):
            self._watch(connection)

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.data.close()

    def _replace(self, connection: Connection) -> None:
        self._writing.discard(connection)
        self._selector.unregister(connection.socket)
        connection.close()
        self.add()

    def _watch(self, connection: Connection) -> None:
        self._writing ^= {connection}
        writes = selectors.EVENT_WRITE if connection in self._writing else 0
        self._selector.modify(connection.socket, selectors.EVENT_READ | writes, connection)


def context() -> ssl.SSLContext:
    """Return a context for the site's certificate, which nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.compare.coldstreams", description="Load a proxy."
    )
    parser.add_argument("file", type=Path, help="requests that loadtest.compare.h2requests wrote")
    for name in ("--port", "--connections", "--streams", "--seconds"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--body-bytes", type=int, default=0, help="of each request (default 0)")
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    plan = Plan(
        options.port,
        options.connections,
        options.streams,
        options.seconds,
        context() if options.tls else None,
        options.body_bytes,
    )
    try:
        seen = load(plan, h2requests.read(options.file))
    except (Broken, OSError) as error:
        raise SystemExit(f"coldstreams: {error}") from error
    print(json.dumps(asdict(seen)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
