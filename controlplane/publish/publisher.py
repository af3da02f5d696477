"""The control plane's end of the workers' channel: snapshots out, acknowledgements and counters in."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from controlplane.publish.certificates import Certificates
from controlplane.publish.dispatch import Dispatcher
from controlplane.publish.failures import Failures
from controlplane.publish.held import Held
from controlplane.publish.ledger import Ledger
from controlplane.publish.rollout import Rejection, same_content
from controlplane.publish.session import Session
from controlplane.publish.shared import SharedState
from controlplane.publish.store import SnapshotStore, StoreHealth
from controlplane.publish.totals import Totals
from proxy.model.channel import (
    Ack,
    Drain,
    Ejections,
    FromWorker,
    Hello,
    Hold,
    Holds,
    Nack,
    Report,
    UseCertificates,
    batches,
    encode,
)
from proxy.model.snapshot import Route, Snapshot, certificates_of
from proxy.model.statistics import Stats
from proxy.model.tls import Certificate

log = logging.getLogger(__name__)

REPORT_DEADLINE_S = 1.0


class WorkerView(msgspec.Struct, frozen=True):
    """The publisher's view of one connected worker."""

    worker: int
    pid: int
    applied_version: int
    nack_reason: str
    stats: Stats | None
    dataplane: str = "pure"


class Publisher:
    """Unix-socket server for the workers of one generation; see `publish`, `collect`, `workers`."""

    def __init__(
        self, path: Path, generation: str, worker_count: int, store: SnapshotStore, held: Held,
        certificates: Certificates,
    ) -> None:  # fmt: skip
        self.on_applied: Callable[[], None] = lambda: None
        """Called when all `worker_count` workers serve the good snapshot, every time they do."""
        self.on_progress: Callable[[], None] = lambda: None
        """Called when `serves` or `rejection` may have changed."""
        self._path = path
        self._generation = generation
        self._count = worker_count
        self._store = store
        self._server: asyncio.Server | None = None
        self._dispatcher = Dispatcher(self._settled)
        self._ledger = Ledger()
        self._counted: tuple[Route, ...] = ()  # routes whose counters are kept
        self._shared = SharedState(held, lambda: self._dispatcher.sessions.values())
        self._certificates = certificates
        self._orphans: set[Session] = set()
        self._strangers: set[Session] = set()

    async def start(self) -> None:
        """Listen. Raises OSError."""
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        previous = os.umask(0o177)  # never connectable by others, not even between bind and chmod
        try:
            listening.bind(str(self._path))
        except OSError:
            listening.close()
            raise
        finally:
            os.umask(previous)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._connected, sock=listening)

    async def stop(self) -> None:
        """Write unsaved state to disk and close every connection; the workers go on serving."""
        self._dispatcher.close()
        await self._store.close()
        await self.held.close()
        await self._certificates.close()
        if self._server is not None:
            self._server.close()
        for session in (*self._dispatcher.sessions.values(), *self._orphans, *self._strangers):
            session.abort()

    def resume(self) -> Snapshot | None:
        """Serve the snapshot on disk, if there is one, and return it."""
        self.held.load()
        self._certificates.load()
        snapshot = self._store.load()
        if snapshot is not None and snapshot.workers != self._count:
            snapshot = msgspec.structs.replace(snapshot, workers=self._count)
        if snapshot is not None:
            self._dispatcher.resume(snapshot)
        return snapshot

    def publish(self, snapshot: Snapshot) -> bool:
        """Bring this snapshot to the workers; False when its content is that of the last one.

        Its number is its own when that is higher than the last one's, else the next one. When only endpoints
        differ from the last one, only they are sent. Everything else is tried on one worker first; if that
        one cannot use it, all keep the last good snapshot (`rejection`).
        """
        version = max(snapshot.version, self.wanted_version + 1)
        snapshot = msgspec.structs.replace(snapshot, version=version, workers=self._count)
        wanted = self._dispatcher.rollout.wanted
        if wanted is not None and same_content(wanted, snapshot):
            return False
        self._dispatcher.publish(snapshot)
        return True

    def repeat(self) -> None:
        """Send the good snapshot to all workers again: they look for new sockets when they get one."""
        self._dispatcher.repeat()

    def use_session_key(self, key: bytes) -> None:
        """Let all workers, and those that come later, name endpoints in cookies with this key."""
        self._shared.use_session_key(key)

    def use_ticket_secret(self, secret: bytes) -> None:
        """Let all workers, and those that come later, derive the keys of session tickets from this."""
        self._shared.use_ticket_secret(secret)

    def use_certificates(self, certificates: Mapping[str, Certificate]) -> None:
        """Let all workers serve TLS with these, by id. To be called before their snapshot is published."""
        new = self._certificates.add(certificates)
        if new:
            self._send_certificates(self._dispatcher.sessions.values(), new)

    async def collect(self) -> tuple[Stats, ...]:
        """Ask every worker for its counters; those silent for 1 s are missing from the answer."""
        waiters = [self._ask(session) for session in self._dispatcher.sessions.values()]
        if not waiters:
            return ()
        done, late = await asyncio.wait(waiters, timeout=REPORT_DEADLINE_S)
        for waiter in late:
            waiter.cancel()
        return tuple(waiter.result() for waiter in done if not waiter.cancelled())

    def let_back(self, ingress: str, cluster: str) -> tuple[Hold, ...]:
        """Give clusters that are held out of an Ingress their share back, "" all of them; return which."""
        return self._shared.let_back(ingress, cluster)

    def drain(self, grace_s: float) -> frozenset[int]:
        """Tell the workers to finish within `grace_s` seconds; return the pids that were reached."""
        self.drain_orphans(grace_s)
        for session in self._dispatcher.sessions.values():
            session.send(encode(Drain(grace_s)))
        return frozenset(view.pid for view in self.workers())

    def drain_orphans(self, grace_s: float) -> frozenset[int]:
        """Like `drain`, but only for workers of an earlier control plane, each once."""
        for session in self._orphans:
            session.send(encode(Drain(grace_s)))
        pids = frozenset(session.hello.pid for session in self._orphans if session.hello is not None)
        self._strangers |= self._orphans
        self._orphans.clear()
        return pids

    def process_exited(self, worker: int, pid: int) -> None:
        """The supervisor saw this process end: its counters become part of the totals for good."""
        connected = any(view.pid == pid for view in self.workers())
        self._ledger.exited((worker, pid), connected)

    def workers(self) -> tuple[WorkerView, ...]:
        return tuple(
            WorkerView(
                worker,
                session.hello.pid,
                session.applied_version,
                session.nack_reason,
                session.stats,
                session.hello.dataplane,
            )
            for worker, session in sorted(self._dispatcher.sessions.items())
            if session.hello is not None
        )

    def serving(self) -> frozenset[int]:
        """Return the pids of the workers that serve the good snapshot, or are ready for the first one."""
        return frozenset(
            session.hello.pid for session in self._dispatcher.serving() if session.hello is not None
        )

    def totals(self) -> Totals:
        """Return the counters of all workers that ever ran, up to their last reports."""
        return self._ledger.tally()()

    def tally(self) -> Callable[[], Totals]:
        """Return a function that adds up the totals, for a thread: many routes take long."""
        return self._ledger.tally()

    def failures(self) -> Failures:
        """Return the failures at all workers that ever ran, up to their last reports."""
        return self._ledger.failures()

    def applied_count(self) -> int:
        """Return how many workers serve the rules of the good snapshot."""
        return self._dispatcher.applied_count()

    def serves(self, version: int) -> bool:
        """Return whether all connected workers have applied this version, or a newer one; False without
        workers.
        """
        return self._dispatcher.serves(version)

    @property
    def held(self) -> Held:
        """The clusters that are held out by hand."""
        return self._shared.held

    @property
    def snapshot(self) -> Snapshot | None:
        """The last good snapshot: the one the workers serve."""
        return self._dispatcher.rollout.good

    @property
    def wanted(self) -> Snapshot | None:
        """The newest snapshot, served or not."""
        return self._dispatcher.rollout.wanted

    @property
    def wanted_version(self) -> int:
        """The number of the newest snapshot, served or not; 0 when there was none."""
        wanted = self._dispatcher.rollout.wanted
        return 0 if wanted is None else wanted.version

    @property
    def rules_version(self) -> int:
        """The number of the snapshot whose rules the workers serve; endpoints may be of a newer one."""
        return self._dispatcher.rollout.rules_version

    @property
    def rejection(self) -> Rejection | None:
        """The reason why the newest snapshot is not served, if there is one."""
        return self._dispatcher.rollout.rejection

    @property
    def refusal(self) -> Rejection | None:
        """The rejection that the newest rules met; None while newer ones are being tried."""
        rollout = self._dispatcher.rollout
        return rollout.rejection if rollout.trial is None else None

    @property
    def rejected_total(self) -> int:
        return self._dispatcher.rollout.rejected_total

    @property
    def store_health(self) -> StoreHealth:
        return self._store.health

    def received(self, session: Session, message: FromWorker) -> None:
        match message:
            case Hello():
                self._greeted(session, message)
            case Ack(version):
                session.took_ack(version)
                if not self._is_foreign(session):
                    self._dispatcher.acknowledged(session, version)
            case Nack(version, reason):
                session.refused_version, session.nack_reason = version, reason
                self._dispatcher.refused(session, version, reason)
            case Ejections() if not self._is_foreign(session):
                self._shared.eject(session, message)
            case Holds(clusters) if not self._is_foreign(session):
                self._shared.hold(session, clusters)
            case Stats():
                session.took_stats(message)
                self.on_progress()
                if session.hello is not None and not self._is_foreign(session):
                    self._ledger.reported((session.hello.worker, session.hello.pid), message)
                    self._shared.reported(session.hello.worker, message)

    def closed(self, session: Session) -> None:
        self._orphans.discard(session)
        self._strangers.discard(session)
        hello = session.hello
        if hello is not None and self._dispatcher.sessions.get(hello.worker) is session:
            self._dispatcher.left(hello.worker, session)
            self._ledger.disconnected((hello.worker, hello.pid))

    def _connected(self) -> Session:
        session = Session(self)
        self._strangers.add(session)
        return session

    def _is_foreign(self, session: Session) -> bool:
        return session.hello is None or session.hello.generation != self._generation

    def _greeted(self, session: Session, hello: Hello) -> None:
        self._strangers.discard(session)
        session.hello = hello
        if self._is_foreign(session):
            log.info("worker of an earlier control plane found", extra={"pid": hello.pid})
            self._orphans.add(session)
            self._settled()
        else:
            self._send_certificates((session,), self._certificates.all())
            self._dispatcher.joined(hello.worker, session)
            self._shared.greet(session)

    def _settled(self) -> None:
        good = self._dispatcher.rollout.good
        if good is not None and self.applied_count() >= self._count:
            self._forget_certificates()
            self.held.keep(good.routes)
            self._keep_counters(good.routes)
            self._store.save_soon(good)
            if self.serves(good.version):
                self.on_applied()
        self.on_progress()

    def _send_certificates(self, sessions: Iterable[Session], certificates: Iterable[Certificate]) -> None:
        messages = [encode(UseCertificates(tuple(some))) for some in batches(certificates, lambda _: 1)]
        for session in sessions:
            for data in messages if session.feedable else ():
                session.send(data)

    def _forget_certificates(self) -> None:
        """Let workers forget the certificates that are in no snapshot any more."""
        gone = self._certificates.keep(self._named_certificates())
        if gone:
            for session in self._dispatcher.sessions.values():
                session.send(encode(UseCertificates(removed=gone)))

    def _named_certificates(self) -> frozenset[str]:
        """Return the ids of certificates and bundles in all snapshots that a worker may serve."""
        rollout = self._dispatcher.rollout
        return frozenset(
            name
            for snapshot in (rollout.good, rollout.trial, rollout.wanted)
            if snapshot is not None
            for name in certificates_of(snapshot)
        )

    def _keep_counters(self, routes: tuple[Route, ...]) -> None:
        if routes is not self._counted:
            self._counted = routes
            self._ledger.keep_routes({route.id for route in routes})

    def _ask(self, session: Session) -> "asyncio.Future[Stats]":
        waiter: asyncio.Future[Stats] = asyncio.get_running_loop().create_future()
        if not session.report_waiters:
            session.send(encode(Report()))
        session.report_waiters.append(waiter)
        return waiter
