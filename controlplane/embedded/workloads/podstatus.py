"""The status that a node writes for a pod."""

import msgspec

from controlplane.embedded.workloads import podspec
from controlplane.embedded.workloads.apiclient import Object

HOST_IP = "127.0.0.1"


class ContainerRun(msgspec.Struct):
    """The life of a pod's container so far."""

    address: str = ""
    ready: bool = False
    started_at: str = ""  # "" while it does not run
    restarts: int = 0
    last_exit_code: int | None = None
    last_started_at: str = ""
    last_finished_at: str = ""
    waiting: str = "ContainerCreating"


def pod_status(pod: Object, run: ContainerRun) -> Object:
    """Return `.status` for the present state of the container."""
    spec = podspec.container(pod)
    state: Object = {"waiting": {"reason": run.waiting}}
    if run.started_at:
        state = {"running": {"startedAt": run.started_at}}
    container: Object = {
        "name": spec.get("name", ""),
        "image": spec.get("image", ""),
        "imageID": "",
        "ready": run.ready,
        "started": bool(run.started_at),
        "restartCount": run.restarts,
        "state": state,
        "lastState": _last_state(run),
    }
    if run.started_at:
        container["containerID"] = f"process://{pod['metadata']['uid']}-{run.restarts}"
    status: Object = {
        "phase": "Running" if run.started_at or run.last_exit_code is not None else "Pending",
        "conditions": _conditions(pod, run),
        "containerStatuses": [container],
        "hostIP": HOST_IP,
        "hostIPs": [{"ip": HOST_IP}],
        "qosClass": "BestEffort",
        "startTime": pod["metadata"]["creationTimestamp"],
    }
    if run.address:
        status |= {"podIP": run.address, "podIPs": [{"ip": run.address}]}
    return status


def _last_state(run: ContainerRun) -> Object:
    if run.last_exit_code is None:
        return {}
    return {
        "terminated": {
            "exitCode": run.last_exit_code,
            "reason": "Completed" if run.last_exit_code == 0 else "Error",
            "startedAt": run.last_started_at,
            "finishedAt": run.last_finished_at,
        }
    }


def _conditions(pod: Object, run: ContainerRun) -> list[Object]:
    """Return the conditions; a transition time changes only with its status."""
    known = {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or []}
    wanted = {
        "PodReadyToStartContainers": bool(run.address),
        "Initialized": True,
        "Ready": run.ready,
        "ContainersReady": run.ready,
        "PodScheduled": True,
    }
    conditions = []
    for kind, holds in wanted.items():
        status = "True" if holds else "False"
        before = known.get(kind)
        same = before is not None and before["status"] == status
        condition: Object = {
            "type": kind,
            "status": status,
            "lastTransitionTime": before["lastTransitionTime"] if same and before else podspec.now(),
        }
        if not holds and kind in ("Ready", "ContainersReady"):
            condition |= {"reason": "ContainersNotReady", "message": "the web-demo process is not ready"}
        conditions.append(condition)
    return conditions
