"""Which Secret registers a member cluster: an id belongs to the Secret that had it first.

Without that rule a Secret that is deleted for a moment, to be created anew, would leave its cluster, and the
traffic of every Ingress, to any other Secret with the same label.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from controlplane.resources.meta import ObjectMeta
from controlplane.translate.diagnostics import Diagnostic, Findings, Subject

CLUSTER_LABEL: Final = "fleetgate.io/cluster"
"""On a Secret in the gateway's own namespace: the id of the member cluster whose kubeconfig it holds."""

TAKES_OVER: Final = "fleetgate.io/takes-over"
"""On such a Secret: the name of the Secret that had the id before and is gone."""

MOST_VACANT: Final = 1000
_LABEL: Final = f"metadata.labels[{CLUSTER_LABEL}]"


class Owner(msgspec.Struct, frozen=True):
    """The Secret that an id belongs to, also while it is gone; `server` is its API server as last known."""

    secret: str
    server: str = ""


class Claim(msgspec.Struct, frozen=True):
    """A Secret that is to register a cluster; `server` is "" where its kubeconfig cannot be used."""

    metadata: ObjectMeta
    server: str

    @property
    def cluster(self) -> str:
        return self.metadata.labels.get(CLUSTER_LABEL, "")

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def replaces(self) -> str:
        return self.metadata.annotations.get(TAKES_OVER, "")


class Assigned(msgspec.Struct, frozen=True):
    """`secrets` are the names of the Secrets that register a cluster, by its id.

    `owners` is for the next decision. `moved` are the former API servers by id: a finding names them as long
    as it is handed on.
    """

    secrets: Mapping[str, str]
    owners: Mapping[str, Owner]
    moved: Mapping[str, str]
    findings: tuple[Diagnostic, ...]


def assign(
    flags: Collection[str],
    claims: Iterable[Claim],
    owners: Mapping[str, Owner],
    moved: Mapping[str, str],
) -> Assigned:
    """Decide which Secret registers which cluster; `flags` are the clusters of --member, which win.

    Of several Secrets for a new id the oldest gets the id. An id that a Secret had before goes only to a
    Secret of the same name, or, once that is gone, to one whose annotation `fleetgate.io/takes-over` has that
    name.
    """
    assigning = _Assigning(flags, owners, moved)
    by_age = sorted(claims, key=lambda claim: (claim.metadata.creation_timestamp, claim.name))
    for claim in sorted(by_age, key=lambda claim: not assigning.belongs(claim)):
        assigning.take(claim)
    return assigning.result()


class _Assigning:
    def __init__(self, flags: Collection[str], owners: Mapping[str, Owner], moved: Mapping[str, str]) -> None:
        self._flags = flags
        self._before = owners
        self._owners = dict(owners)
        self._moved = dict(moved)
        self._secrets: dict[str, str] = {}
        self._findings: list[Diagnostic] = []

    def belongs(self, claim: Claim) -> bool:
        owner = self._before.get(claim.cluster)
        return owner is not None and owner.secret == claim.name

    def take(self, claim: Claim) -> None:
        findings, cluster = Findings(Subject.of("Secret", claim.metadata)), claim.cluster
        owner = self._before.get(cluster)
        if not cluster:
            findings.add("FG0901", _LABEL)
        elif cluster in self._flags:
            findings.add("FG0902", _LABEL, cluster, cluster=cluster, owner=f"--member {cluster}")
        elif cluster in self._secrets:
            findings.add("FG0902", _LABEL, cluster, cluster=cluster, owner=f"Secret {self._secrets[cluster]}")
        elif owner is not None and owner.secret not in (claim.name, claim.replaces):
            findings.add("FG0903", _LABEL, cluster, cluster=cluster, owner=owner.secret, key=TAKES_OVER)
        else:
            self._give(claim, owner, findings)
        self._findings += findings.items

    def _give(self, claim: Claim, owner: Owner | None, findings: Findings) -> None:
        cluster = claim.cluster
        self._secrets[cluster] = claim.name
        if claim.replaces and claim.replaces != claim.name:
            field = f"metadata.annotations[{TAKES_OVER}]"
            findings.add("FG0904", field, claim.replaces, cluster=cluster, owner=claim.replaces)
        if owner is not None and owner.server and claim.server not in ("", owner.server):
            self._moved.setdefault(cluster, owner.server)
        before = self._moved.get(cluster)
        if before == claim.server:
            del self._moved[cluster]  # it is back
        elif before is not None and claim.server:
            findings.add("FG0905", "data[kubeconfig]", "", cluster=cluster, before=before, now=claim.server)
        self._owners.pop(cluster, None)  # the latest to be seen are the last to be forgotten
        known = claim.server or (owner.server if owner is not None else "")
        self._owners[cluster] = Owner(claim.name, known)

    def result(self) -> Assigned:
        vacant = [cluster for cluster in self._owners if cluster not in self._secrets]
        for cluster in vacant[: max(0, len(vacant) - MOST_VACANT)]:
            del self._owners[cluster]
        moved = {cluster: server for cluster, server in self._moved.items() if cluster in self._owners}
        return Assigned(self._secrets, self._owners, moved, tuple(self._findings))
