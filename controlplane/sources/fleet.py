"""The Fleet and its member clusters: all watched objects, and whether they are current."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from controlplane.kube.client import ApiClient
from controlplane.kube.clock import SYSTEM_CLOCK, Clock
from controlplane.kube.cluster import ClusterHealth, ClusterWatch
from controlplane.kube.reflector import Reflector
from controlplane.kube.store import StoredStatus
from controlplane.resources.kinds import (
    ALBCONFIGS,
    INGRESS_CLASSES,
    INGRESSES,
    MSE_INGRESS_CONFIGS,
    REFERENCE_GRANTS,
    REFERENCE_GRANTS_BETA,
    SECRETS,
    SERVER_GROUPS,
    Kind,
)
from controlplane.resources.view import FleetObjects, MemberObjects, TlsSecrets
from controlplane.sources.member import RETRY_S, Member
from controlplane.sources.namespaced import NamespacedWatch
from controlplane.sources.registered import Registration, registrations
from controlplane.translate.annotations.effective_shares import KEY as SHARES_KEY
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.keypairs import TYPE as TLS_SECRET_TYPE
from controlplane.translate.registrations import CLUSTER_LABEL, Owner

log = logging.getLogger(__name__)

FLEET = "fleet"


class Fleet:
    """Watches the Fleet, and those member clusters that are attached and registered.

    Members are registered by flags, and by Secrets in `namespace`, the gateway's own: authors of Secrets in
    other namespaces must not decide where the traffic of all goes.
    `on_change` is called after each batch of changes, from the event loop; it must be quick.
    """

    def __init__(
        self,
        client: ApiClient,
        members: Mapping[str, Path],
        on_change: Callable[[], None],
        *,
        namespace: str,
        on_owners: Callable[[Mapping[str, Owner]], None] = lambda owners: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """`on_owners` is called when ids of clusters belong to other Secrets than before; see `remember`."""
        self.synced = asyncio.Event()  # all objects of the Fleet were listed once
        self._client = client
        self._flags = members
        self._on_change = on_change
        self._clock = clock
        self._ingresses = Reflector(
            client, INGRESSES, self._changed, keep_status=True, own_annotation=SHARES_KEY, clock=clock
        )
        self._classes = Reflector(client, INGRESS_CLASSES, self._changed, clock=clock)
        self._albconfigs = Reflector(client, ALBCONFIGS, self._changed, keep_status=True, clock=clock)
        self._secrets = Reflector(
            client,
            SECRETS,
            self._secrets_changed,
            label_selector=CLUSTER_LABEL,
            namespace=namespace,
            clock=clock,
        )
        self._mse_configs = Reflector(
            client, MSE_INGRESS_CONFIGS, self._changed, keep_status=True, optional=True, clock=clock
        )
        self._groups = Reflector(
            client, SERVER_GROUPS, self._changed, keep_status=True, optional=True, clock=clock
        )
        self._grants = Reflector(client, REFERENCE_GRANTS, self._changed, optional=True, clock=clock)
        self._beta_grants = Reflector(
            client, REFERENCE_GRANTS_BETA, self._changed, optional=True, clock=clock
        )
        self._main = (self._ingresses, self._classes, self._albconfigs)
        # An older ClusterRole may lack the rights to these kinds
        self._later = (self._mse_configs, self._groups, self._grants, self._beta_grants)
        self._watch = ClusterWatch(FLEET, (*self._main, *self._later, self._secrets), self._changed, clock)
        self._tls = NamespacedWatch(
            SECRETS, FLEET, self._changed, clock, field_selector=f"type={TLS_SECRET_TYPE}"
        )
        self._named = NamespacedWatch(SECRETS, FLEET, self._changed, clock)
        self._registered = registrations(members, {})
        self._on_owners = on_owners
        self._attached: frozenset[str] = frozenset()
        self._labelled: frozenset[str] = frozenset()
        self._members: dict[str, Member] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._reconcile = asyncio.Event()

    def want_secrets(self, namespaces: frozenset[str], named: frozenset[str] = frozenset()) -> None:
        """Say in which namespaces the Secrets of certificates are needed, and which others by name."""
        self._tls.want(namespaces)
        self._named.want(named)

    def waits_for_secrets(self) -> bool:
        """Return whether wanted Secrets are not known yet, but probably will be in a moment."""
        return not self._watch.stale and (self._tls.waits() or self._named.waits())

    def tls_secrets(self) -> TlsSecrets:
        by_namespace = {
            namespace: {key.partition("/")[2]: secret for key, secret in secrets.items()}
            for namespace, secrets in self._tls.objects().items()
        }
        named = {place: secrets.get(place) for place, secrets in self._named.objects().items()}
        return TlsSecrets(by_namespace, self._tls.denied(), named, self._named.denied())

    def attach(self, clusters: frozenset[str], labelled: frozenset[str] = frozenset()) -> None:
        """Say which members to watch; the others are let go. Unknown ids wait to be registered.

        `labelled` are the namespaces in which the labels of their pods matter.
        """
        if (clusters, labelled) != (self._attached, self._labelled):
            self._attached, self._labelled = clusters, labelled
            for member in self._members.values():
                member.want_pods(labelled)
            self._reconcile.set()

    def waits_for_pods(self) -> bool:
        """Return whether the pods of some member are not known yet, but probably will be in a moment."""
        return any(member.waits_for_pods() for member in self._members.values())

    def known_clusters(self) -> frozenset[str]:
        """Return the ids of all registered members, watched or not."""
        return frozenset(self._registered.members)

    def remember(self, owners: Mapping[str, Owner]) -> None:
        """Take over the owners from before a restart: which Secret had which id. Call before `run`."""
        self._registered = replace(self._registered, owners=owners)

    def findings(self) -> tuple[Diagnostic, ...]:
        """Return the findings about Secrets that register clusters: faults, and changes of owners."""
        return self._registered.findings

    def fleet_objects(self) -> FleetObjects:
        reflectors = (*self._main, *self._later)
        malformed = {
            (item.kind, item.key): item for reflector in reflectors for item in reflector.malformed.values()
        }
        return FleetObjects(
            ingresses=self._ingresses.objects,
            ingress_classes=self._classes.objects,
            albconfigs=self._albconfigs.objects,
            server_groups=self._groups.objects,
            mse_configs=self._mse_configs.objects,
            reference_grants={**self._beta_grants.objects, **self._grants.objects},
            malformed=tuple(malformed.values()),
        )

    def no_grants(self) -> str:
        """Return why there are no ReferenceGrants; "" where there can be some."""
        healths = (self._grants.health, self._beta_grants.health)
        if all(health.unknown for health in healths):
            return "the Fleet does not serve them"
        if all(health.unknown or health.denied for health in healths):
            return "the gateway may not list them: apply deploy/rbac/fleet.yaml"
        return ""

    def member_objects(self) -> Mapping[str, MemberObjects]:
        return {cluster: member.objects() for cluster, member in self._members.items()}

    def current_status(self, kind: Kind[Any], namespace: str, name: str) -> StoredStatus | None:
        """Return the last seen status of an object whose status we write; None for a missing object."""
        key = f"{namespace}/{name}" if namespace else name
        for reflector in (self._ingresses, self._albconfigs, *self._later):
            if reflector.kind is kind:
                return reflector.status(key)
        return None

    def shares_written(self) -> dict[tuple[str, str], str]:
        """Return the annotations with effective shares as last seen, by namespace and name of the Ingress."""
        return {
            (key.partition("/")[0], key.partition("/")[2]): mark
            for key, mark in self._ingresses.marks.items()
        }

    def fleet_health(self) -> ClusterHealth:
        return self._watch.health()

    def health(self) -> tuple[ClusterHealth, ...]:
        """Return the state of every registered member, by id."""
        return tuple(self._member_health(cluster) for cluster in sorted(self._registered.members))

    def problems(self) -> tuple[str, ...]:
        """Return the faults in the registration of members, one line each."""
        unusable = (item.problem for item in self._registered.members.values() if item.problem)
        unreadable = (str(item) for item in self._secrets.malformed.values())
        return (*map(str, self._registered.findings), *unusable, *unreadable)

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch.follow(self._client))
                group.create_task(self._tls.follow(self._client))
                group.create_task(self._named.follow(self._client))
                group.create_task(self._watch.monitor())
                while True:
                    await self._reconcile.wait()
                    self._reconcile.clear()
                    self._start_and_stop()
        finally:
            await self._stop()

    def _member_health(self, cluster: str) -> ClusterHealth:
        member = self._members.get(cluster)
        if member is not None:
            return member.health()
        return ClusterHealth(cluster, attached=False, last_error=self._registered.members[cluster].problem)

    def _changed(self) -> None:
        # Without the right to list Secrets the --member flags still serve; without the right to list
        # the kinds that came later all other kinds do.
        listed = all(reflector.health.synced for reflector in self._main)
        healths = (reflector.health for reflector in (*self._later, self._secrets))
        if listed and all(health.synced or health.denied for health in healths):
            self.synced.set()
        self._on_change()

    def _secrets_changed(self) -> None:
        before = self._registered
        self._registered = registrations(self._flags, self._secrets.objects, before)
        if self._registered.owners != before.owners:
            self._on_owners(self._registered.owners)
        self._reconcile.set()
        self._changed()

    def _start_and_stop(self) -> None:
        registered = self._registered.members
        wanted = {cluster: registered[cluster] for cluster in self._attached & set(registered)}
        gone = set(self._members) - set(wanted)
        for cluster in gone:
            del self._members[cluster]
            self._end(self._tasks.pop(cluster))
        for cluster, registration in wanted.items():
            if cluster in self._members:
                self._members[cluster].use(registration)
            else:
                self._start(cluster, registration)
        if gone:
            self._on_change()

    def _start(self, cluster: str, registration: Registration) -> None:
        member = Member(cluster, registration, self._on_change, self._clock)
        member.want_pods(self._labelled)
        self._members[cluster] = member
        self._tasks[cluster] = asyncio.create_task(self._watch_member(member), name=f"member {cluster}")

    async def _watch_member(self, member: Member) -> None:
        while True:
            try:
                await member.run()
            except Exception:
                # A bug of ours that shows with one cluster must not end the others.
                log.exception("watching cluster %s failed; trying again in %g s", member.cluster, RETRY_S)
                await self._clock.sleep(RETRY_S)

    def _end(self, task: "asyncio.Task[None]") -> None:
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _stop(self) -> None:
        for task in self._tasks.values():
            self._end(task)
        self._tasks.clear()
        self._members.clear()
        await asyncio.gather(*self._ending, return_exceptions=True)
