"""The deployment and replica set controllers: from a Deployment to its Pod objects."""

import asyncio
import copy
import logging
import random
import string
from collections.abc import Sequence

from controlplane.embedded.workloads import podspec
from controlplane.embedded.workloads.apiclient import (
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    ApiFailure,
    Object,
    Resource,
    WorkloadClient,
)
from controlplane.embedded.workloads.deploymentstatus import deployment_status, replica_set_status
from controlplane.embedded.workloads.mirror import Mirror, owner, owner_reference
from controlplane.embedded.workloads.rollout import (
    HASH_LABEL,
    REVISION,
    Plan,
    SetCount,
    limits,
    plan,
    template_hash,
)

log = logging.getLogger(__name__)

HISTORY = 10
"""Replica sets without pods that are kept for `kubectl rollout undo`; Kubernetes' default."""


class DeploymentController:
    """Brings pods and statuses into the state that deployments ask for, one `reconcile` at a time."""

    def __init__(
        self, client: WorkloadClient, deployments: Mirror, sets: Mirror, pods: Mirror, node: str
    ) -> None:
        self._client = client
        self._deployments = deployments
        self._sets = sets
        self._pods = pods
        self._node = node

    async def reconcile(self) -> bool:
        """Make one step for every deployment; say whether all of them succeeded.

        Raises transport errors, and ApiFailure when the deployments cannot be read.
        """
        await self._collect_orphans()
        succeeded = True
        for deployment in list(self._deployments.objects.values()):
            if podspec.is_terminating(deployment):
                continue
            try:
                await self._step(deployment)
            except ApiFailure as failure:
                succeeded = False
                if failure.status not in (404, 409):  # lost races, the normal case of optimistic locking
                    log.warning("deployment %s: %s", deployment["metadata"]["name"], failure)
        return succeeded

    async def _collect_orphans(self) -> None:
        """Delete objects that were made for an owner that was already being deleted.

        The API server's garbage collector acts on the deletion, so it misses objects that a controller
        creates a moment later, before it has heard of the deletion.
        """
        orphans = _without_owner(self._sets, self._deployments)
        await asyncio.gather(*(self._delete(REPLICA_SETS, self._sets, item) for item in orphans))
        await self._delete_pods(_without_owner(self._pods, self._sets))

    async def _step(self, deployment: Object) -> None:
        new, old = await self._replica_sets(deployment)
        bounds = limits(deployment["spec"])
        wanted = int(deployment["spec"].get("replicas", 1))
        step = plan(wanted, self._count(new), tuple(map(self._count, old)), bounds)
        await self._scale(new, old, step)
        await self._write_status(deployment, new, old, bounds.unavailable)
        for surplus in [item for item in old if not self._owned(item)][:-HISTORY]:
            await self._delete(REPLICA_SETS, self._sets, surplus)

    async def _replica_sets(self, deployment: Object) -> tuple[Object, list[Object]]:
        """Return the replica set of the present template, made if need be, and the others, oldest first."""
        owned = sorted(self._sets.owned_by(deployment["metadata"]["uid"]), key=_revision)
        digest = template_hash(deployment["spec"]["template"])
        new = next((item for item in owned if _hash(item) == digest), None)
        if new is None and deployment["spec"].get("paused") and owned:
            new = owned[-1]
        revision = max(map(_revision, owned), default=0)
        if new is None:
            revision += 1
            body = _replica_set(deployment, digest, revision)
            new = await self._client.create(REPLICA_SETS, deployment["metadata"]["namespace"], body)
            self._sets.put(new)
        elif _revision(new) < revision and not deployment["spec"].get("paused"):  # an old template is back
            revision += 1
            new = await self._annotate(REPLICA_SETS, self._sets, new, revision)
        if (deployment["metadata"].get("annotations") or {}).get(REVISION) != str(revision):
            await self._annotate(DEPLOYMENTS, self._deployments, deployment, revision)
        uid = new["metadata"]["uid"]
        return new, [item for item in owned if item["metadata"]["uid"] != uid]

    async def _annotate(self, resource: Resource, mirror: Mirror, item: Object, revision: int) -> Object:
        meta = item["metadata"]
        body = {"metadata": {"annotations": {REVISION: str(revision)}}}
        written = await self._client.patch(resource, meta["namespace"], meta["name"], body)
        mirror.put(written)
        return written

    def _owned(self, item: Object, *, terminating: bool = True) -> list[Object]:
        """Return the pods of a replica set that have not ended."""
        pods = self._pods.owned_by(item["metadata"]["uid"])
        return [pod for pod in pods if terminating or not podspec.is_terminating(pod)]

    def _count(self, item: Object) -> SetCount:
        serving = [pod for pod in self._owned(item, terminating=False) if podspec.is_ready(pod)]
        return SetCount(int(item["spec"].get("replicas", 1)), len(serving), len(self._owned(item)))

    async def _scale(self, new: Object, old: Sequence[Object], step: Plan) -> None:
        for item, count in zip((new, *old), (step.new, *step.old), strict=True):
            if int(item["spec"].get("replicas", 1)) != count:
                meta = item["metadata"]
                body = {"spec": {"replicas": count}, "metadata": {"resourceVersion": meta["resourceVersion"]}}
                item = await self._client.patch(REPLICA_SETS, meta["namespace"], meta["name"], body)
                self._sets.put(item)
            await self._fill(item, count)

    async def _fill(self, item: Object, count: int) -> None:
        pods = self._owned(item, terminating=False)
        if len(pods) > count:
            await self._delete_pods(sorted(pods, key=_keep_last)[: len(pods) - count])
        missing = [_pod(item, self._node) for _ in range(count - len(pods))]
        created = await asyncio.gather(
            *(self._client.create(PODS, item["metadata"]["namespace"], body) for body in missing)
        )
        for pod in created:
            self._pods.put(pod)

    async def _delete_pods(self, pods: Sequence[Object]) -> None:
        """Mark pods as terminating, all at once: their endpoints change before any gets SIGTERM."""
        going = [pod for pod in pods if not podspec.is_terminating(pod)]
        await asyncio.gather(*(self._delete(PODS, self._pods, pod) for pod in going))

    async def _delete(self, resource: Resource, mirror: Mirror, item: Object) -> None:
        meta = item["metadata"]
        try:
            answer = await self._client.delete(resource, meta["namespace"], meta["name"], meta["uid"])
        except ApiFailure as failure:
            if failure.status != 404:
                raise
            answer = {}
        if "deletionTimestamp" in answer.get("metadata", {}) and answer["kind"] == resource.kind:
            mirror.put(answer)
        else:
            mirror.drop(item)

    async def _write_status(
        self, deployment: Object, new: Object, old: Sequence[Object], unavailable: int
    ) -> None:
        current = [self._owned(item, terminating=False) for item in (new, *old)]
        for item, pods in zip((new, *old), current, strict=True):
            latest = self._sets.objects.get((item["metadata"]["namespace"], item["metadata"]["name"]), item)
            await self._put_status(REPLICA_SETS, self._sets, latest, replica_set_status(latest, pods))
        meta = deployment["metadata"]
        latest = self._deployments.objects.get((meta["namespace"], meta["name"]), deployment)
        old_pods = [pod for pods in current[1:] for pod in pods]
        status = deployment_status(deployment, current[0], old_pods, unavailable)
        await self._put_status(DEPLOYMENTS, self._deployments, latest, status)

    async def _put_status(self, resource: Resource, mirror: Mirror, item: Object, status: Object) -> None:
        if _set_fields(item.get("status") or {}) == _set_fields(status):
            return
        written = await self._client.replace(resource, {**item, "status": status}, "status")
        mirror.put(written)


def _without_owner(mirror: Mirror, owners: Mirror) -> list[Object]:
    """Return the objects of `mirror` that belong to an object of `owners` which is gone."""
    present = {item["metadata"]["uid"] for item in owners.objects.values()}
    orphans = []
    for item in mirror.objects.values():
        reference = owner(item)
        if reference and reference["kind"] == owners.resource.kind and reference["uid"] not in present:
            orphans.append(item)
    return orphans


def _revision(item: Object) -> int:
    return int((item["metadata"].get("annotations") or {}).get(REVISION, "0"))


def _set_fields(status: Object) -> Object:
    return {name: value for name, value in status.items() if value != 0}


def _hash(item: Object) -> str | None:
    labels: dict[str, str] = item["metadata"].get("labels") or {}
    return labels.get(HASH_LABEL)


def _keep_last(pod: Object) -> tuple[bool, str]:
    """Sort key for scaling down: pods that are not ready go first, then the youngest."""
    created = pod["metadata"]["creationTimestamp"]
    return podspec.is_ready(pod), "".join(chr(0x10FFFF - ord(letter)) for letter in created)


def _suffix(length: int = 5) -> str:
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=length))


def _template(item: Object, digest: str) -> Object:
    template: Object = copy.deepcopy(item["spec"]["template"])
    meta = template.setdefault("metadata", {})
    meta["labels"] = {**(meta.get("labels") or {}), HASH_LABEL: digest}
    return template


def _replica_set(deployment: Object, digest: str, revision: int) -> Object:
    meta = deployment["metadata"]
    template = _template(deployment, digest)
    selector = deployment["spec"].get("selector") or {}
    labels = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    return {
        "apiVersion": REPLICA_SETS.api_version,
        "kind": REPLICA_SETS.kind,
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": 0, "selector": {**selector, "matchLabels": labels}, "template": template},
    }


def _pod(replica_set: Object, node: str) -> Object:
    template = copy.deepcopy(replica_set["spec"]["template"])
    meta, name = template.get("metadata") or {}, replica_set["metadata"]["name"]
    metadata: Object = {
        "name": f"{name}-{_suffix()}",
        "generateName": f"{name}-",
        "namespace": replica_set["metadata"]["namespace"],
        "labels": meta.get("labels") or {},
        "ownerReferences": [owner_reference(replica_set)],
        "finalizers": [podspec.FINALIZER],
    }
    if meta.get("annotations"):
        metadata["annotations"] = meta["annotations"]
    return {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "metadata": metadata,
        "spec": {**template["spec"], "nodeName": node},
    }
