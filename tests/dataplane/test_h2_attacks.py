"""Hostile clients of HTTP/2: each attack ends as RFC 9113 has it, reaches no endpoint, holds up nobody."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from proxy.model.limits import Limits
from tests.dataplane.h2_attacks import (
    ATTACKS,
    FINE,
    HONEST,
    NEVER,
    PARTIAL,
    SMUGGLED,
    STALLED,
    Attack,
    Honest,
    Step,
)
from tests.support.http2client import (
    END_HEADERS,
    MOST_WINDOW,
    PREFACE,
    Code,
    Ending,
    Fields,
    Http2Client,
    Kind,
    Setting,
    block,
    continuation,
    frame,
    headers,
    ping,
    settings,
    window_update,
)
from tests.support.origin import Origin
from tests.support.snapshots import route, service
from tests.support.twoports import serve_two_ports
from tests.support.wire import RawClient
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

BYSTANDER, AFTER = b"/bystander", b"/after"
LATER_STREAM = 1_000_001  # higher than that of any attack
DEFAULT_WINDOW = 65535
PAUSE_S = 0.005  # of a bystander, between an answer and its next request
STALLED_BUFFER_BYTES = 65536
IMPATIENCE_S = 1.0
TRICKLE_S = 0.1
SETTINGS_FRAMES = 40
SETTINGS_COST_S = 0.4  # to read 100,000 values takes a tenth of that


class Bystander:
    """An honest client beside attacks, on a connection of its own: asks again once it has its answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._answers = 0
        self._answered = asyncio.Event()
        self._asking = asyncio.create_task(self._ask())

    async def one_more_answer(self) -> None:
        """Wait for the answer to a request that is made from now on. Raises what has kept it from coming."""
        enough = self._answers + 2
        while self._answers < enough:
            self._answered.clear()
            waiting = asyncio.create_task(self._answered.wait())
            await asyncio.wait((waiting, self._asking), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if self._asking.done():
                failed, self._asking = self._asking, asyncio.create_task(self._ask())
                failed.result()

    async def leave(self) -> None:
        self._asking.cancel()
        await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        client = await Http2Client.connect(self._port)
        try:
            await client.send(window_update(0, MOST_WINDOW - DEFAULT_WINDOW))
            stream = 1
            while True:
                answer = await client.get(BYSTANDER.decode(), stream)
                assert (answer.status, answer.body) == (200, BYSTANDER)
                client.forget()
                self._answers += 1
                self._answered.set()
                stream += 2
                await asyncio.sleep(PAUSE_S)
        finally:
            await client.close()


class Lane:
    """A listener in the clear and one with TLS, an endpoint that answers, and an honest client all the while.

    Another endpoint, of STALLED, only accepts connections.
    """

    def __init__(
        self, port: int, tls_port: int, context: ssl.SSLContext, origin: Origin, worker: WorkerProcess
    ) -> None:
        self.port = port
        self.tls_port = tls_port
        self.context = context  # of clients of the second
        self.origin = origin
        self.worker = worker
        self.bystander = Bystander(port)


@asynccontextmanager
async def serving(limits: Limits) -> AsyncIterator[Lane]:
    async with Origin() as origin, WorkerProcess() as worker:
        with socket.socket() as stalled:  # the kernel accepts for it
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STALLED_BUFFER_BYTES)
            stalled.bind(("127.0.0.1", 0))
            stalled.listen()
            routes = (route(0), route(0, STALLED, to="demo/stalled:80"))
            services = (
                service({"c1": [origin.address]}),
                service({"c1": [stalled.getsockname()]}, "demo/stalled:80"),
            )
            ports = await serve_two_ports(worker, routes, services, http2=True, limits=limits)
            made = Lane(ports.plain, ports.tls, ports.trusting("h2"), origin, worker)
            yield made
            await made.bystander.leave()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lane() -> AsyncIterator[Lane]:
    async with serving(Limits()) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient() -> AsyncIterator[Lane]:
    """Waits for clients for a second."""
    limits = Limits(
        head_timeout_s=IMPATIENCE_S, body_idle_timeout_s=IMPATIENCE_S, http2_stall_timeout_s=IMPATIENCE_S
    )
    async with serving(limits) as made:
        yield made


async def take(client: Http2Client, steps: tuple[Step, ...]) -> None:
    for step in steps:
        if isinstance(step, bytes):
            await client.send(step)
        else:
            await step(client)


async def goes_on(client: Http2Client, relief: bytes = b"") -> None:
    """Check that the connection serves a request like any other."""
    await client.send(relief, settings((Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)))
    answer = await client.get(AFTER.decode(), LATER_STREAM)
    assert (answer.status, answer.body) == (200, AFTER)


async def ending_of(client: Http2Client, attack: Attack) -> Ending:
    """Wait for the end; where no answer is one, for what comes behind an answer."""
    if attack.stream is None or any(each.how == "answer" for each in attack.ends):
        return await client.ends(attack.stream)
    return await client.fails(attack.stream)


def check_endpoint(origin: Origin, bodies: tuple[bytes, ...] = ()) -> None:
    """Check that nothing came but what was meant: no byte of NEVER, no whole PARTIAL but with `bodies`."""
    assert NEVER.encode() not in origin.received
    assert SMUGGLED.encode() not in origin.received
    assert not any(connection.broken for connection in origin.connections)
    for request, body in origin.requests:
        if request.target.startswith(PARTIAL.encode()):
            assert body in bodies
        else:
            assert request.method == b"GET"
            assert request.target.partition(b"?")[0] in (FINE.encode(), BYSTANDER, AFTER)
            assert body == b""


async def test_the_names_are_different() -> None:
    names = [attack.name for attack in ATTACKS] + [honest.name for honest in HONEST]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("attack", [pytest.param(attack, id=attack.name) for attack in ATTACKS])
async def test_an_attack_ends(lane: Lane, attack: Attack) -> None:
    lane.origin.forget()
    client = await Http2Client.connect(lane.port, greets=attack.greets)
    try:
        await take(client, attack.steps)
        found = await ending_of(client, attack)
        assert found in attack.ends, client.frames[-20:]
        if found.how == "goaway":
            await client.expect_connection_end()
        else:
            await goes_on(client, attack.relief)
        await lane.bystander.one_more_answer()
    finally:
        await client.close()
    check_endpoint(lane.origin, attack.bodies)


@pytest.mark.parametrize("honest", [pytest.param(honest, id=honest.name) for honest in HONEST])
async def test_what_an_honest_client_does_is_no_attack(lane: Lane, honest: Honest) -> None:
    lane.origin.forget()
    client = await Http2Client.connect(lane.port)
    try:
        await take(client, honest.steps)
        for stream in honest.answered:
            assert (await client.response(stream)).status == 200
        await goes_on(client)
    finally:
        await client.close()
    check_endpoint(lane.origin)


async def test_settings_cost_what_their_bytes_do(lane: Lane) -> None:
    """A value concerns all open streams: 40 frames must not be ten million changes of windows."""
    client = await Http2Client.connect(lane.port)
    values = ((Setting.INITIAL_WINDOW_SIZE, 0), (Setting.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW))
    try:
        await client.send(*(headers(stream, UPLOAD, ends=False) for stream in range(1, 201, 2)), ping())
        await client.expect_pong()
        before = lane.worker.cpu_s()
        await client.send(settings(*values * 1250) * SETTINGS_FRAMES, ping(b"all read"))
        await client.expect_pong(b"all read")
        assert lane.worker.cpu_s() - before < SETTINGS_COST_S
    finally:
        await client.close()


# Clients that are slow. Each is over in time, though some of them bring a byte every now and then

HEAD: Fields = ((":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", NEVER))
UPLOAD: Fields = ((":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", PARTIAL))
SLOW = {
    "half-a-preface": (PREFACE[:10], ()),
    "preface-byte-by-byte": (b"", tuple(PREFACE[at : at + 1] for at in range(len(PREFACE)))),
    "half-the-head-of-a-frame": (PREFACE + settings() + headers(1, HEAD)[:5], ()),
    "headers-without-payload": (PREFACE + settings() + headers(1, HEAD)[:9], ()),
    "headers-byte-by-byte": (
        PREFACE + settings() + headers(1, HEAD)[:9],
        tuple(block(HEAD)[at : at + 1] for at in range(len(block(HEAD)))),
    ),
    "block-without-end": (PREFACE + settings() + headers(1, HEAD, whole=False), ()),
    "block-in-slow-continuations": (
        PREFACE + settings() + headers(1, HEAD, whole=False),
        (b"", b"", continuation(1, (("x", "y"),), whole=False)) * 7,
    ),
    "continuation-without-payload": (
        PREFACE
        + settings()
        + headers(1, HEAD, whole=False)
        + frame(Kind.CONTINUATION, END_HEADERS, 1, length=100),
        (b"x",) * 99,
    ),
}


@pytest.mark.parametrize("name", SLOW)
async def test_a_head_has_its_time_in_all(impatient: Lane, name: str) -> None:
    """RFC 9113 §10.5: a client that trickles is not waited for, whatever frames it makes of its bytes."""
    first, pieces = SLOW[name]
    lane = impatient
    lane.origin.forget()
    client = await Http2Client.connect(lane.port, greets=False)
    loop = asyncio.get_running_loop()
    try:
        started = loop.time()
        await client.send(first)
        for piece in pieces:
            try:
                await client.until(lambda: client.has_ended, within=TRICKLE_S)
            except TimeoutError:
                await client.send(piece)
            else:
                break
        await client.expect_connection_end()
        assert loop.time() - started < 3 * IMPATIENCE_S
        await lane.bystander.one_more_answer()
    finally:
        await client.close()
    check_endpoint(lane.origin)


async def test_a_body_that_stops_ends_its_stream_alone(impatient: Lane) -> None:
    impatient.origin.forget()
    client = await Http2Client.connect(impatient.port)
    try:
        await client.send(headers(1, UPLOAD, ends=False))
        found = await client.ends(1)
        assert found in (Ending("answer", 408), Ending("reset", Code.CANCEL)), client.frames
        await goes_on(client)
        await impatient.bystander.one_more_answer()
    finally:
        await client.close()
    check_endpoint(impatient.origin)


async def test_a_window_that_stays_shut_ends_its_stream_alone(impatient: Lane) -> None:
    """CVE-2019-9517: a client asks, and never makes room for the response; the endpoint is done with it."""
    impatient.origin.forget()
    client = await Http2Client.connect(impatient.port, values=((Setting.INITIAL_WINDOW_SIZE, 0),))
    asked = range(1, 41, 2)
    try:
        await client.send(*(headers(stream, client.request(FINE)) for stream in asked))
        for stream in asked:
            await client.expect_reset(stream, Code.CANCEL)
            assert client.answer(stream).body == b""
        await goes_on(client)
        await impatient.bystander.one_more_answer()
    finally:
        await client.close()
    check_endpoint(impatient.origin)


# HTTP/1 and HTTP/2 at one port

OVER_HTTP1 = b"GET /fine HTTP/1.1\r\nHost: a\r\n%b\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


async def test_an_upgrade_to_h2c_is_not_taken_up(lane: Lane) -> None:
    """RFC 9113 §3.1 has no upgrade any more; a gateway that passes it on is deceived (h2c smuggling)."""
    lane.origin.forget()
    client = await RawClient.connect(lane.port)
    await client.send(OVER_HTTP1 % UPGRADE)
    assert (await client.response())[0] == 200
    await client.send(PREFACE + settings() + headers(1, HEAD))
    answer = await client.until_closed()
    assert answer.split(b" ")[1] in (b"400", b"505")
    await client.close()
    assert b"h2c" not in lane.origin.received
    assert b"HTTP2-Settings" not in lane.origin.received
    check_endpoint(lane.origin)


async def test_a_preface_behind_a_request_of_http1_is_refused(lane: Lane) -> None:
    lane.origin.forget()
    client = await RawClient.connect(lane.port)
    await client.send(OVER_HTTP1 % b"" + PREFACE + settings() + headers(1, HEAD))
    assert (await client.response())[0] == 200
    answer = await client.until_closed()
    assert answer.split(b" ")[1] in (b"400", b"505")
    await client.close()
    check_endpoint(lane.origin)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(PREFACE[:-6] + b"XX\r\n\r\n", id="another-second-line"),
        pytest.param(PREFACE.replace(b"2.0", b"2.1"), id="another-version"),
        pytest.param(PREFACE.replace(b"*", NEVER.encode()), id="with-a-path"),
        pytest.param(settings() + headers(1, HEAD), id="frames-alone"),
    ],
)
async def test_what_only_looks_like_a_preface_is_refused(lane: Lane, raw: bytes) -> None:
    """RFC 9113 §3.4: no preface, no HTTP/2. The end may come with an answer of HTTP/1."""
    lane.origin.forget()
    client = await Http2Client.connect(lane.port, greets=False)
    try:
        await client.send(raw, headers(1, HEAD))
        await client.expect_connection_end()
        assert client.answers == {}
    finally:
        await client.close()
    check_endpoint(lane.origin)


@pytest.mark.parametrize(
    "raw", [pytest.param(OVER_HTTP1 % b"", id="http1"), pytest.param(headers(1, HEAD), id="frames-alone")]
)
async def test_alpn_binds_both_sides(lane: Lane, raw: bytes) -> None:
    """Where h2 was agreed on, nothing but its preface opens the connection (RFC 9113 §3.3)."""
    lane.origin.forget()
    client = await Http2Client.connect(lane.tls_port, tls=lane.context, greets=False)
    try:
        await client.send(raw)
        await client.expect_connection_end()
        assert client.ending(None) in (Ending("closed"), Ending("goaway", Code.PROTOCOL_ERROR))
        assert not client.rest.startswith(b"HTTP/")
    finally:
        await client.close()
    assert FINE.encode() not in lane.origin.received
    check_endpoint(lane.origin)


async def test_an_attack_over_tls_ends_as_well(lane: Lane) -> None:
    """The frames of floods arrive in other pieces over TLS, and GOAWAY passes another way out."""
    lane.origin.forget()
    floods = [attack for attack in ATTACKS if attack.name in ("ping", "made-you-reset-by-malformed-requests")]
    for attack in floods:
        client = await Http2Client.connect(lane.tls_port, tls=lane.context)
        try:
            await take(client, attack.steps)
            await client.expect_goaway(Code.ENHANCE_YOUR_CALM)
        finally:
            await client.close()
    check_endpoint(lane.origin)
