"""Files through the same translation that the gateway runs, without any server.

Objects that the files leave out are no mistakes. Without manifests of member clusters no backend is judged.
Without any IngressClass or AlbConfig the translation assumes a gateway with all that the Ingresses name.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import field, structs
from msgspec.structs import replace

from controlplane.files.finding import Finding, about_file, about_object
from controlplane.files.manifests import Manifests, read_manifests
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
from controlplane.files.surroundings import (
    Assumed,
    assume_gateways,
    named_clusters,
    with_default_class,
)
from controlplane.files.unserved import Unserved, unserved
from controlplane.resources.ingress import Ingress
from controlplane.resources.view import MemberObjects
from controlplane.translate.builder import translate
from controlplane.translate.closed import ANSWER
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.dialects import Dialect
from controlplane.translate.model import Facts, LastGood, Translation

_DEFAULT: Final = Facts()


class Checked(msgspec.Struct, frozen=True):
    """The translation of files. `notes` are lines about parts that were not checked, or were assumed."""

    translation: Translation
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    files: int
    objects: int
    others: int  # objects of kinds that are not read
    ingresses: Mapping[str, Ingress]  # by key

    @property
    def served_routes(self) -> int:
        """The number of routes without those that are closed."""
        return sum(route.action != ANSWER for route in self.translation.snapshot.routes)


def check(
    paths: Iterable[str],
    members: Mapping[str, Iterable[str]],
    namespace: str = "default",
    dialect: Dialect | None = None,
    facts: Facts = _DEFAULT,
) -> Checked:
    """Translate the manifests in `paths`; `members` has those of each member cluster.

    `dialect` is that of Ingresses which no gateway in the files takes. Of `facts` only the options of the
    gateway count. Raises FileProblem.
    """
    read = {cluster: read_manifests(read_paths(given)) for cluster, given in members.items()}
    return judge(read_manifests(read_paths(paths)), read, namespace, dialect, facts)


def judge(
    manifests: Manifests,
    members: Mapping[str, Manifests],
    namespace: str,
    dialect: Dialect | None = None,
    facts: Facts = _DEFAULT,
) -> Checked:
    """Translate manifests that were read; see `check`."""
    objects = read_objects(manifests.objects, FLEET_KINDS, namespace)
    located = Located({None: objects})
    findings = [*manifests.findings, *objects.findings]
    clusters: dict[str, MemberObjects] = {}
    for cluster, read in members.items():
        own = read_objects(read.objects, MEMBER_KINDS, namespace)
        findings += [*read.findings, *own.findings]
        located.objects[cluster] = own
        clusters[cluster] = member_of(cluster, own)
    fleet = with_default_class(fleet_of(objects))
    assumed = assume_gateways(fleet, tuple(sorted(members)), dialect)
    notes = assumed.notes
    if not members:
        clusters = {name: MemberObjects(name, synced=False) for name in named_clusters(assumed.fleet)}
        notes.append("backends are not judged: give the objects of the clusters with --member ID=PATH")
    known = replace(facts, known_clusters=frozenset(clusters), allow_loopback=True)
    translation = translate(assumed.fleet, clusters, known, LastGood(), 1)
    shown = about_files(translation.diagnostics, assumed)
    found = (located.finding(diagnostic) for diagnostic in shown)
    findings += [finding for finding in found if finding is not None]
    findings += [located.unserved(each) for each in unserved(fleet, assumed.untold, translation)]
    findings.sort(key=lambda finding: finding.place)
    return Checked(
        translation,
        tuple(findings),
        tuple(notes),
        manifests.files,
        objects.count,
        objects.others,
        fleet.ingresses,
    )


class Located(msgspec.Struct, frozen=True):
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

    def unserved(self, each: Unserved) -> Finding:
        metadata = each.ingress.metadata
        objects = self.objects[None]
        assert objects is not None
        place = objects.manifests["Ingress", metadata.namespace, metadata.name].place(each.field)
        return about_file(
            each.code,
            place,
            object=f"Ingress {metadata.namespace}/{metadata.name}",
            field=each.field,
            value=each.value,
            why=each.why,
            fix=each.fix,
        )


def about_files(diagnostics: Iterable[Diagnostic], assumed: Assumed) -> Iterator[Diagnostic]:
    """Yield the findings, without those about assumed gateways, which exist in no file.

    A missing part of an assumed object is no fault of the files, except a listener that no gateway has.
    """
    for item in diagnostics:
        title = next((title for title in assumed.titles if title in item.message), None)
        if item.code == "FG0101" and item.value in assumed.untold:
            continue  # FG0116 says it better
        if title is None:
            yield item
        elif item.code == "FG0505":
            yield structs.replace(
                item,
                message=f"no gateway has the listener {item.value} yet: QUIC is not supported;"
                " the rules are not installed there",
                allowed="HTTP or HTTPS, and a port",
                fix="name an HTTPS listener too",
            )
        else:
            told = (text.replace(title, "its gateway") for text in (item.message, item.allowed, item.fix))
            yield structs.replace(item, **dict(zip(("message", "allowed", "fix"), told, strict=True)))
