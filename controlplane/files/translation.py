"""Files through the same translation that the gateway runs, without any server.

What files leave out is not held against them. Without manifests of member clusters no backend is
judged. Without any IngressClass or AlbConfig a gateway is assumed that has what the Ingresses name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controlplane.files.finding import Finding, about_object
from controlplane.files.manifests import read_manifests
from controlplane.files.objects import (
    FLEET_KINDS,
    MEMBER_KINDS,
    Identity,
    Objects,
    fleet_of,
    member_of,
    read_objects,
)
from controlplane.files.reading import read_paths
from controlplane.files.surroundings import assume_gateways, named_clusters
from controlplane.resources.view import MemberObjects
from controlplane.translate.builder import translate
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.model import Facts, LastGood, Translation


@dataclass(frozen=True, slots=True)
class Checked:
    """What files become. `notes` are lines about what could not be judged, or was assumed."""

    translation: Translation
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    files: int
    objects: int
    others: int  # objects of kinds that are not read


def check(paths: Iterable[str], members: Mapping[str, Iterable[str]], namespace: str = "default") -> Checked:
    """Translate the manifests in `paths`; `members` has those of each member cluster. Raises FileProblem."""
    manifests = read_manifests(read_paths(paths))
    objects = read_objects(manifests.objects, FLEET_KINDS, namespace)
    located = Located({None: objects})
    findings = [*manifests.findings, *objects.findings]
    clusters: dict[str, MemberObjects] = {}
    for cluster, given in members.items():
        read = read_manifests(read_paths(given))
        own = read_objects(read.objects, MEMBER_KINDS, namespace)
        findings += [*read.findings, *own.findings]
        located.objects[cluster] = own
        clusters[cluster] = member_of(cluster, own)
    fleet, notes = assume_gateways(fleet_of(objects), tuple(sorted(members)))
    if not members:
        clusters = {name: MemberObjects(name, synced=False) for name in named_clusters(fleet)}
        notes.append("backends are not judged: give the objects of the clusters with --member ID=PATH")
    facts = Facts(known_clusters=frozenset(clusters), allow_loopback=True)
    translation = translate(fleet, clusters, facts, LastGood(), 1)
    found = (located.finding(diagnostic) for diagnostic in translation.diagnostics)
    findings += [finding for finding in found if finding is not None]
    findings.sort(key=lambda finding: finding.place)
    return Checked(translation, tuple(findings), tuple(notes), manifests.files, objects.count, objects.others)


@dataclass(frozen=True, slots=True)
class Located:
    """The objects of the Fleet (None) and of each member cluster."""

    objects: dict[str | None, Objects] = field(default_factory=dict)

    def finding(self, diagnostic: Diagnostic) -> Finding | None:
        """Return a finding at its place, None when it is about an object that was assumed."""
        identity: Identity = (diagnostic.kind, diagnostic.namespace, diagnostic.name)
        clusters = [cluster for cluster, objects in self.objects.items() if identity in objects.manifests]
        if not clusters:
            return None
        named = [cluster for cluster in clusters if diagnostic.message.startswith(f"{cluster}: ")]
        objects = self.objects[(named or clusters)[0]]
        path = diagnostic.field
        if not path and identity in objects.malformed:
            path = objects.malformed[identity].error.partition(": ")[0]
        return about_object(diagnostic, objects.manifests[identity].place(path))
