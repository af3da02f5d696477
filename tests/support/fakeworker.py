"""A stand-in worker: speaks the channel protocol and answers a fixed response on passed sockets.

What it does with a snapshot can be chosen by words in the environment: when the id of a route contains
FAKEWORKER_NACK, _CRASH, _HANG or _SPIN it refuses the snapshot, dies over it, blocks its loop, or
computes for ever.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import time

import msgspec

from proxy.liveness import Liveness
from proxy.model.channel import (
    Ack,
    Apply,
    Drain,
    EndpointsChanged,
    Hello,
    ListenerSocket,
    Nack,
    Part,
    Report,
    ToWorker,
    decode_routes,
    decode_services,
    encode,
    to_worker_framer,
)
from proxy.model.snapshot import SCHEMA, Snapshot
from proxy.model.statistics import (
    ConnectionCount,
    DurationHistogram,
    EndpointStats,
    RequestCount,
    Stats,
)
from proxy.spare import wait_for_place

RECONNECT_S = 0.05


class FakeWorker:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.snapshot = Snapshot(0)
        self.sockets: dict[tuple[str, int], socket.socket] = {}
        self.serving: set[tuple[str, int]] = set()
        self.parts: list[Part] = []
        self.requests = 0
        self.draining = asyncio.Event()
        self.clients: set[asyncio.Task[None]] = set()

    async def main(self) -> None:
        loop = asyncio.get_running_loop()
        if self.args.fds is not None:
            fds = socket.socket(fileno=self.args.fds)
            fds.setblocking(False)
            loop.add_reader(fds, self.take_sockets, fds)
        if self.args.liveness is not None:
            Liveness(self.args.liveness).start(loop)
        loop.add_signal_handler(signal.SIGTERM, self.draining.set)
        talking = asyncio.create_task(self.talk_forever())
        await self.draining.wait()
        for listening in self.sockets.values():
            loop.remove_reader(listening)
            self.accept(listening)  # whoever waits in the queue was promised an answer
            listening.close()
        if self.clients:
            await asyncio.wait(self.clients, timeout=2)
        talking.cancel()

    def take_sockets(self, fds: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                label, passed, _, _ = socket.recv_fds(fds, 4096, 1)
                if not label:
                    asyncio.get_running_loop().remove_reader(fds)
                    return
                listener = msgspec.json.decode(label, type=ListenerSocket)
                self.sockets[listener.address, listener.port] = socket.socket(fileno=passed[0])
        self.serve_listeners()

    def serve_listeners(self) -> None:
        loop = asyncio.get_running_loop()
        wanted = {(listener.address, listener.port) for listener in self.snapshot.listeners}
        for address in (wanted & self.sockets.keys()) - self.serving:
            self.serving.add(address)
            loop.add_reader(self.sockets[address], self.accept, self.sockets[address])
        for address in self.serving - wanted:
            self.serving.discard(address)
            listening = self.sockets.pop(address)
            loop.remove_reader(listening)
            listening.close()

    def accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self.serve(listening.accept()[0])

    def serve(self, client: socket.socket) -> None:
        task = asyncio.create_task(self.answer(client))
        self.clients.add(task)
        task.add_done_callback(self.clients.discard)

    async def answer(self, client: socket.socket) -> None:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        with client, contextlib.suppress(OSError):
            if await loop.sock_recv(client, 65536):
                self.requests += 1
                body = f"{self.args.id} {os.getpid()} {self.snapshot.version}".encode()
                head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
                await loop.sock_sendall(client, head + body)

    async def talk_forever(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self.talk()
            await asyncio.sleep(RECONNECT_S)

    async def talk(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self.args.socket)
        framer = to_worker_framer()
        self.parts = []
        hello = Hello(self.args.id, os.getpid(), SCHEMA, self.args.generation, self.snapshot.version)
        try:
            writer.write(encode(hello))
            while data := await reader.read(1 << 16):
                for message in framer.feed(data):
                    self.handle(message, writer)
        finally:
            writer.close()

    def handle(self, message: ToWorker, writer: asyncio.StreamWriter) -> None:
        match message:
            case Part():
                self.parts.append(message)
            case Apply(head):
                snapshot = msgspec.structs.replace(
                    head,
                    routes=tuple(route for part in self.parts for route in decode_routes(part)),
                    services=tuple(service for part in self.parts for service in decode_services(part)),
                )
                self.parts = []
                ids = " ".join(route.id for route in snapshot.routes)
                if marked("CRASH", ids):
                    os._exit(3)
                if marked("HANG", ids):
                    time.sleep(3600)
                while marked("SPIN", ids):
                    pass
                if marked("NACK", ids):
                    writer.write(encode(Nack(snapshot.version, "told to refuse it")))
                    return
                self.snapshot = snapshot
                self.serve_listeners()
                writer.write(encode(Ack(snapshot.version)))
            case EndpointsChanged(version, services):
                fresh = {service.id: service for service in services}
                merged = tuple(fresh.get(service.id, service) for service in self.snapshot.services)
                self.snapshot = msgspec.structs.replace(self.snapshot, version=version, services=merged)
                writer.write(encode(Ack(version)))
            case Report():
                writer.write(encode(self.stats()))
            case Drain():
                self.draining.set()

    def stats(self) -> Stats:
        route = self.snapshot.routes[0].id if self.snapshot.routes else ""
        cluster = self.snapshot.clusters[0].id if self.snapshot.clusters else ""
        service = self.snapshot.services[0].id if self.snapshot.services else ""
        listener = self.snapshot.listeners[0].name if self.snapshot.listeners else ""
        buckets = (self.requests,) + (0,) * 14
        return Stats(
            version=self.snapshot.version,
            requests=(RequestCount(listener, route, service, cluster, "2xx", "-", self.requests),),
            durations=(DurationHistogram(route, cluster, buckets, 0.001 * self.requests, 10, 20),),
            attempts=(),
            endpoints=tuple(
                EndpointStats(s.id, c.cluster, e.address, e.port, "healthy", 0, 1, self.requests, 0, "")
                for s in self.snapshot.services
                for c in s.clusters
                for e in c.endpoints
            ),
            connections=(ConnectionCount(listener, 1, self.requests),),
            loop_lag_s=0.001,
            log_lines_dropped=0,
        )


def marked(what: str, ids: str) -> bool:
    word = os.environ.get(f"FAKEWORKER_{what}")
    return word is not None and word in ids


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--id", type=int)
    parser.add_argument("--socket")
    parser.add_argument("--generation")
    parser.add_argument("--fds", type=int)
    parser.add_argument("--liveness", type=int)
    parser.add_argument("--evidence", type=int)
    parser.add_argument("--spare", type=int)
    parser.add_argument("--access-log")
    args = parser.parse_args()
    if args.spare is not None:
        given = wait_for_place(args.spare)
        if given is None:
            sys.exit(0)
        args.id, args.fds, args.liveness = given.worker, given.fds, given.liveness
        args.evidence = given.evidence
    return args


if __name__ == "__main__":
    asyncio.run(FakeWorker(parse_args()).main())
