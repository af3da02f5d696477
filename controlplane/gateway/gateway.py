"""Composition root: from the API servers through the translation to the workers, and back as status."""

import asyncio
import contextlib
import functools
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable

from controlplane.admin.state import State
from controlplane.checks import Checker, with_verdicts
from controlplane.gateway.confirmation import Confirmation
from controlplane.gateway.identity import Identity
from controlplane.gateway.memberlog import MemberLog
from controlplane.gateway.owners import OwnersFile
from controlplane.gateway.patience import Patience
from controlplane.gateway.session_key import SessionKeys
from controlplane.gateway.settings import Settings
from controlplane.gateway.tickets import TicketSecrets
from controlplane.gateway.translator import Translator
from controlplane.gateway.workers import WorkerPool
from controlplane.kube.client import ApiClient
from controlplane.kube.events import EventRecorder
from controlplane.kube.lease import LeaderElector
from controlplane.observe.failovers import FailoverWatch
from controlplane.proposal.job import Basis
from controlplane.report.sharewatch import ShareWatch
from controlplane.report.statuses import StatusWriter
from controlplane.sources.fleet import Fleet
from controlplane.sources.hostnames import HostResolver
from proxy.model.channel import Hold
from proxy.model.snapshot import Snapshot

log = logging.getLogger(__name__)

BURST_PAUSE_S = 0.05
"""The pause after a change, in seconds; changes within it are taken together, the first one never waits."""

FIRST_CONTACT_S = 10.0
"""How long a gateway without a snapshot waits for the Fleet before it exits: it has nothing to serve."""

VERDICTS_PAUSE_S = 0.02
"""How long verdicts of checks are collected, so that those of a dying cluster travel together."""

PORT_RETRY_S = 5.0
RESTART_S = 5.0
LEASE = "fleetgate"


class Gateway:
    """The gateway: see `start` and `stop`. The admin API reads `state`, `basis` and `refresh`.

    `gave_up` gets the cause when the gateway has no snapshot to serve and the Fleet does not answer.
    """

    def __init__(self, settings: Settings, client: ApiClient) -> None:
        instance = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._client = client
        self._changed = asyncio.Event()
        self._owners = OwnersFile(settings.state_dir)
        self._fleet = Fleet(
            client,
            settings.members,
            self._changed.set,
            namespace=settings.namespace,
            on_owners=self._owners.save,
        )
        self._recorder = EventRecorder(client, instance)
        self._elector = LeaderElector(
            client, settings.namespace, LEASE, instance, on_answer=self._changed.set
        )
        self._identity = Identity(self._elector)
        self._status = StatusWriter(client, self._recorder, self._elector, self._fleet.current_status)
        self._plane = WorkerPool(
            settings.state_dir, settings.workers, settings.worker_argv, settings.access_log, settings.grace_s
        )
        self._confirmation = Confirmation(self._plane.publisher, self._status.submit)
        self._failovers = FailoverWatch(self._plane.publisher)
        self._share_watch = ShareWatch(
            client,
            self._fleet,
            self._plane.publisher,
            self._failovers,
            self._recorder,
            self._elector,
            write_shares=settings.write_shares,
        )
        self._session_keys = SessionKeys(
            client,
            settings.namespace,
            self._elector,
            settings.state_dir.resolve() / "session-key.json",
            self._plane.publisher.use_session_key,
        )
        self._tickets = TicketSecrets(self._plane.publisher.use_ticket_secret)
        self._checker = Checker(self._verdict_changed)
        self._verdicts_due: asyncio.TimerHandle | None = None
        self._hosts = HostResolver(self._changed.set)
        self._translator = Translator(settings, self._fleet, self._hosts, self._identity)
        self._latest: Snapshot | None = None
        self._from_disk = False
        self._failed_ports: dict[int, str] = {}
        self._members = MemberLog()
        self._started_at = time.time()
        self._patience = Patience(self._fleet, self._hosts, self._identity, self._changed.set)
        self._tasks: list[asyncio.Task[None]] = []
        self.gave_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Start workers and watches. Raises OSError, StateDirectoryInUse."""
        self._latest = await self._plane.start()
        self._from_disk = self._latest is not None
        self._session_keys.load()
        if self._latest is not None:
            self._checker.want(self._latest.services)
        self._translator.load()
        self._fleet.remember(self._owners.load())
        for name, work in (
            ("fleet", self._fleet.run),
            ("events", self._recorder.run),
            ("leader election", self._elector.run),
            ("status", self._status.run),
            ("host names", self._hosts.run),
            ("session key", self._session_keys.run),
            ("session tickets", self._tickets.run),
            ("failovers", self._failovers.run),
            ("findings in the log", self._translator.log.run),
            *self._share_watch.works(),
            ("reconcile", self._reconcile_forever),
        ):
            self._tasks.append(asyncio.create_task(_keep_running(name, work), name=name))
        self._tasks.append(asyncio.create_task(self._announce_fleet(), name="first contact"))

    def hurry(self) -> None:
        self._plane.hurry()

    def reopen_logs(self) -> None:
        self._plane.supervisor.reopen_logs()

    async def stop(self) -> None:
        """Drain and end the workers, then let go of the API servers."""
        stopping = asyncio.create_task(self._plane.stop())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._verdicts_due is not None:
            self._verdicts_due.cancel()
        self._confirmation.close()
        await self._checker.close()
        await self._translator.close()
        await self._owners.close()
        await stopping
        await self._client.close()

    def state(self) -> State:
        publisher, supervisor = self._plane.publisher, self._plane.supervisor
        fleet = self._fleet.fleet_health()
        return State(
            now=time.time(),
            started_at=self._started_at,
            worker_count=self._plane.worker_count,
            draining=self._plane.draining,
            started=self._plane.applied_at > 0,
            snapshot=publisher.snapshot,
            from_disk=self._from_disk and not self._confirmation.has_confirmed,
            rules_version=publisher.rules_version,
            wanted_version=publisher.wanted_version,
            applied_count=publisher.applied_count(),
            applied_at=self._plane.applied_at,
            rejection=publisher.rejection,
            rejected_total=publisher.rejected_total,
            store=publisher.store_health,
            processes=supervisor.views(),
            workers=publisher.workers(),
            tally=functools.cache(publisher.tally()),
            failovers=self._failovers.latest(),
            held=publisher.held.since(),
            failed_ports=supervisor.failed_ports,
            certificates=self._translator.expiries(),
            checks=self._checker.views(),
            check_counts=self._checker.counts.copy(),
            diagnostics=self._translator.diagnostics,
            fleet_server=self._client.server,
            fleet_synced=self._fleet.synced.is_set(),
            fleet_error=fleet.last_error,
            clusters=self._fleet.health(),
            problems=self._fleet.problems(),
            leader=self._elector.is_leader,
            status_error=self._status.last_error or self._elector.last_error or self._share_watch.last_error,
            translations=self._translator.count,
            translate_sum_s=self._translator.sum_s,
        )

    def let_back(self, ingress: str, cluster: str) -> tuple[Hold, ...]:
        return self._plane.publisher.let_back(ingress, cluster)

    def basis(self) -> Basis | None:
        running = self._plane.publisher.snapshot
        return self._translator.basis(running, self._failed_ports) if running is not None else None

    async def refresh(self) -> None:
        await self._plane.publisher.collect()
        self._failovers.look()

    async def _reconcile_forever(self) -> None:
        await self._fleet.synced.wait()
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._reconcile()
            await asyncio.sleep(BURST_PAUSE_S)

    def _reconcile(self) -> None:
        self._members.look(self._fleet.health())
        version = self._plane.publisher.wanted_version + 1
        translation = self._translator.translate(self._failed_ports, version, self._latest)
        self._fleet.attach(translation.attached, translation.labelled)
        self._fleet.want_secrets(translation.secret_namespaces, translation.named_secrets)
        self._hosts.want(translation.hosts)
        if self._latest is None and self._patience.waits_for_members(translation.attached):
            return
        if self._patience.waits_for_answers():
            return
        self._plane.publisher.use_certificates(translation.certificates)
        if self._publish(translation.snapshot):
            self._confirmation.expect(self._plane.publisher.wanted_version, translation)

    def _publish(self, snapshot: Snapshot) -> bool:
        """Bring a snapshot to the workers; False when ports fail that the statuses would call open."""
        self._checker.want(snapshot.services)
        failed = dict(self._plane.publish(with_verdicts(snapshot, self._checker.is_failing)))
        self._latest = snapshot
        if failed != self._failed_ports:
            self._changed.set()  # statuses tell which listeners are open
        if failed:
            asyncio.get_running_loop().call_later(PORT_RETRY_S, self._changed.set)
        known, self._failed_ports = self._failed_ports, failed
        return failed == known

    def _verdict_changed(self) -> None:
        if self._verdicts_due is None:
            loop = asyncio.get_running_loop()
            self._verdicts_due = loop.call_later(VERDICTS_PAUSE_S, self._publish_verdicts)

    def _publish_verdicts(self) -> None:
        """Bring the verdicts to the workers, also while API servers are away."""
        self._verdicts_due = None
        if self._latest is not None:
            self._plane.publisher.publish(with_verdicts(self._latest, self._checker.is_failing))

    async def _announce_fleet(self) -> None:
        """Log once that the Fleet does not answer, and log when it does."""
        said = False
        deadline = asyncio.get_running_loop().time() + FIRST_CONTACT_S
        while not self._fleet.synced.is_set():
            error = self._fleet.fleet_health().last_error
            if error and not said:
                said = True
                serving = (
                    f"snapshot {self._latest.version} from disk" if self._latest is not None else "nothing"
                )
                log.error("Fleet not listed yet", extra={"cause": error, "serving": serving})
            if error and self._latest is None and asyncio.get_running_loop().time() > deadline:
                self.gave_up.set_result(error)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._fleet.synced.wait()
        log.info("Fleet listed", extra={"server": self._client.server})


async def _keep_running(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Restart `work` when it fails: a defect in one part must not end the others."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("part of the control plane failed, restarted", extra={"part": name})
            await asyncio.sleep(RESTART_S)
