"""The status of deployments and replica sets."""

from collections.abc import Sequence

from controlplane.embedded.workloads import podspec
from controlplane.embedded.workloads.apiclient import Object


def replica_set_status(item: Object, pods: Sequence[Object]) -> Object:
    """Return `.status` of a replica set with these pods, terminating ones left out."""
    ready = sum(1 for pod in pods if podspec.is_ready(pod))
    return {
        "replicas": len(pods),
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "observedGeneration": item["metadata"]["generation"],
    }


def deployment_status(item: Object, new: Sequence[Object], old: Sequence[Object], unavailable: int) -> Object:
    """Return `.status` of a deployment; `unavailable`: how many pods may be missing.

    `kubectl rollout status` waits for observedGeneration, updated = wanted, no old pods left,
    available = updated.
    """
    wanted = int(item["spec"].get("replicas", 1))
    ready = sum(1 for pod in (*new, *old) if podspec.is_ready(pod))
    status: Object = {
        "observedGeneration": item["metadata"]["generation"],
        "replicas": len(new) + len(old),
        "updatedReplicas": len(new),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, max(wanted, len(new) + len(old)) - ready),
    }
    complete = len(new) == wanted and not old and ready >= wanted
    status["conditions"] = _conditions(item, ready >= wanted - unavailable, complete)
    return {name: value for name, value in status.items() if value != 0}


def _conditions(item: Object, enough: bool, complete: bool) -> list[Object]:
    name = item["metadata"]["name"]
    available = _condition(
        item,
        "Available",
        enough,
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
    )
    progressing = _condition(
        item,
        "Progressing",
        True,
        "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated",
        f'Deployment "{name}" {"has successfully progressed" if complete else "is progressing"}.',
    )
    return [available, progressing]


def _condition(item: Object, kind: str, holds: bool, reason: str, message: str) -> Object:
    """Return a condition whose times change only when it does."""
    status = "True" if holds else "False"
    known = (item.get("status") or {}).get("conditions") or []
    before: Object = next((each for each in known if each["type"] == kind), {})
    now = podspec.now()
    same_status = before.get("status") == status
    same = same_status and before.get("reason") == reason and before.get("message") == message
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": before["lastUpdateTime"] if same else now,
        "lastTransitionTime": before["lastTransitionTime"] if same_status else now,
    }
