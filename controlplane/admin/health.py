"""Whether the gateway lives and can take traffic. A member cluster that is down is no reason against."""

import msgspec

from controlplane.admin.state import State


class Check(msgspec.Struct, frozen=True):
    name: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return (
            f"[{'+' if self.passed else '-'}]{self.name} {'ok' if self.passed else 'failed'}: {self.detail}"
        )


def readiness(state: State) -> tuple[Check, ...]:
    return (_draining(state), _snapshot(state), _workers(state), _listeners(state))


def report(checks: tuple[Check, ...]) -> str:
    """Return the checks as kube-apiserver's /readyz?verbose writes them."""
    verdict = "passed" if all(check.passed for check in checks) else "failed"
    return "\n".join((*map(str, checks), f"readyz check {verdict}", ""))


def _draining(state: State) -> Check:
    return Check("draining", not state.draining, "shutting down" if state.draining else "no")


def _snapshot(state: State) -> Check:
    if state.snapshot is not None:
        origin = "from disk, the Fleet has not answered yet" if state.from_disk else "from the Fleet"
        return Check("snapshot", True, f"version {state.snapshot.version} {origin}")
    if state.rejection is not None:
        return Check("snapshot", False, f"rejected by the workers: {state.rejection.reason}")
    waiting = f"none yet; waiting for the Fleet API server {state.fleet_server}".rstrip()
    return Check("snapshot", False, f"{waiting}: {state.fleet_error}" if state.fleet_error else waiting)


def _workers(state: State) -> Check:
    # At start all workers must serve. Later one worker is enough: the successor of a replaced worker answers
    # the connections that wait for it.
    needed = 1 if state.started else state.worker_count
    detail = f"snapshot applied on {state.applied_count}/{state.worker_count} workers"
    return Check("workers", state.applied_count >= needed, detail)


def _listeners(state: State) -> Check:
    ports = {listener.port for listener in state.snapshot.listeners} if state.snapshot is not None else set()
    failed = {port: cause for port, cause in state.failed_ports.items() if port in ports}
    detail = "; ".join((f"{len(ports) - len(failed)}/{len(ports)} bound", *failed.values()))
    return Check("listeners", not ports or len(failed) < len(ports), detail)
