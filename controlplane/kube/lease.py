"""Which of the replicas may write: a Lease of coordination.k8s.io, timed by the local monotonic clock only.

There is no fencing: all work that only the leader does must be harmless when done twice.
"""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from controlplane.kube.client import ApiClient
from controlplane.kube.clock import SYSTEM_CLOCK, Clock, rfc3339_micro
from controlplane.kube.errors import ApiError, KubeError

log = logging.getLogger(__name__)


class LeaseTiming(msgspec.Struct, frozen=True):
    """Seconds, the defaults of Kubernetes' own components. A leader stops at `renew_deadline_s`, before
    another replica may take over at `duration_s`.
    """

    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0
    jitter: float = 1.2
    release_s: float = 2.0


DEFAULT_LEASE_TIMING = LeaseTiming()


class _LeaseMeta(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    name: str
    namespace: str
    resource_version: str = ""
    uid: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Lease(msgspec.Struct, frozen=True, rename="camel"):
    metadata: _LeaseMeta
    spec: _Spec = _Spec()
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"


_leases = msgspec.json.Decoder(_Lease)


class LeaderElector:
    """Competes for a Lease while `run` runs. `is_leader` is true only while no other replica can lead."""

    def __init__(
        self,
        client: ApiClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        on_answer: Callable[[], None] = lambda: None,
        timing: LeaseTiming = DEFAULT_LEASE_TIMING,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`on_answer` is called when `uid` or `last_error` changes."""
        self.uid = ""  # of the Lease, as last seen: the replicas of a gateway have it in common
        self._on_answer = on_answer
        self.identity = identity
        self.last_error = ""
        self.transitions = 0  # how often this replica became leader
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._meta = _LeaseMeta(name, namespace)
        self._timing = timing
        self._clock = clock
        self._seen: _Lease | None = None
        self._changed_at = 0.0  # when the record was last seen to change, monotonic
        self._renewed_at = float("-inf")
        self._became_leader = asyncio.Event()

    @property
    def is_leader(self) -> bool:
        """Whether leader work may be done now. Turns false by itself when renewing fails for too long."""
        return self._clock.monotonic() - self._renewed_at < self._timing.renew_deadline_s

    async def leading(self) -> None:
        """Return when this replica is the leader."""
        while not self.is_leader:
            self._became_leader.clear()
            await self._became_leader.wait()

    async def run(self) -> None:
        """Acquire and renew until cancelled, then release the Lease so that another need not wait."""
        try:
            while True:
                before = self.uid, self.last_error
                await self._attempt()
                if before != (self.uid, self.last_error):
                    self._on_answer()
                pause = self._timing.retry_s * (1 + (self._timing.jitter - 1) * self._clock.random())
                await self._clock.sleep(pause)
                if not self.is_leader:
                    await self._client.reconnected()
        finally:
            await self._release()

    async def _attempt(self) -> None:
        started = self._clock.monotonic()
        try:
            # A call that hangs must not make this replica believe in its leadership for longer.
            async with asyncio.timeout(2 * self._timing.retry_s):
                held = await self._acquire_or_renew()
            self.last_error = ""
        except (KubeError, TimeoutError) as error:
            problem = str(error) or "the API server does not answer in time"
            if isinstance(error, ApiError) and error.status == 409:
                self._renewed_at = float("-inf")  # another replica wrote it: the race is lost
            elif isinstance(error, ApiError) and problem != self.last_error:
                # Mostly a missing right, or --namespace: no other line would show why statuses stay away.
                extra = {"lease": f"{self._meta.namespace}/{self._meta.name}", "cause": problem}
                log.warning("no leader election, so no statuses and Events", extra=extra)
            self.last_error = problem
            return
        if not held:
            self._renewed_at = float("-inf")
            return
        self.transitions += not self.is_leader
        # Counted from before the call: the others count from when they see its effect.
        self._renewed_at = started
        self._became_leader.set()

    async def _acquire_or_renew(self) -> bool:
        lease = await self._read()
        if lease is None:
            return await self._write(_Lease(self._meta), "POST", transitions=0)
        spec = lease.spec
        if spec.holder_identity not in (None, "", self.identity) and not self._expired(lease):
            return False
        taken = spec.holder_identity != self.identity
        return await self._write(lease, "PUT", transitions=(spec.lease_transitions or 0) + taken)

    async def _read(self) -> _Lease | None:
        try:
            body = await self._client.get(f"{self._collection}/{self._meta.name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return self._observe(body)

    def _observe(self, body: bytes) -> _Lease:
        try:
            lease = _leases.decode(body)
        except msgspec.MsgspecError as error:
            raise KubeError(f"Lease {self._meta.namespace}/{self._meta.name}: {error}") from None
        if self._seen is None or lease.spec != self._seen.spec:
            self._changed_at = self._clock.monotonic()
        self._seen = lease
        self.uid = lease.metadata.uid
        return lease

    def _expired(self, lease: _Lease) -> bool:
        # Its timestamps come from another machine's clock; that it did not change is our own finding.
        duration = lease.spec.lease_duration_seconds or self._timing.duration_s
        return self._clock.monotonic() - self._changed_at > duration

    async def _write(self, lease: _Lease, method: str, *, transitions: int) -> bool:
        now = rfc3339_micro(self._clock.now())
        kept = lease.spec.holder_identity == self.identity
        spec = _Spec(
            holder_identity=self.identity,
            lease_duration_seconds=round(self._timing.duration_s),
            acquire_time=lease.spec.acquire_time if kept else now,
            renew_time=now,
            lease_transitions=transitions,
        )
        body = msgspec.json.encode(msgspec.structs.replace(lease, spec=spec))
        path = self._collection if method == "POST" else f"{self._collection}/{self._meta.name}"
        self._observe(await self._client.request(method, path, body=body))
        return True

    async def _release(self) -> None:
        if not self.is_leader or self._seen is None:
            return
        self._renewed_at = float("-inf")
        spec = msgspec.structs.replace(self._seen.spec, holder_identity="", lease_duration_seconds=1)
        body = msgspec.json.encode(msgspec.structs.replace(self._seen, spec=spec))
        try:
            async with asyncio.timeout(self._timing.release_s):
                await self._client.update(f"{self._collection}/{self._meta.name}", body)
        except (KubeError, TimeoutError):
            pass  # it expires by itself
