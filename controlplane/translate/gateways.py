"""AlbConfigs to gateways: the listeners each one owns and the clusters it uses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from controlplane.resources.albconfig import AlbConfig
from controlplane.resources.view import FleetObjects
from controlplane.translate.annotations import remote_clusters
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.registry import check_keys
from controlplane.translate.annotations.row import Scope
from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.listeners import PlannedListener, plan_listeners
from controlplane.translate.model import Facts, LastGood
from proxy.model.snapshot import Listener

_KEPT: Final = "the last good version stays live"
_PARTIAL: Final = "the rest of the AlbConfig is used"


@dataclass(frozen=True, slots=True)
class Gateway:
    """One AlbConfig or MseIngressConfig as it is live. `subject` is its newest version."""

    dialect: Dialect
    subject: Subject
    listeners: tuple[Listener, ...]  # those whose ports it owns, by port
    clusters: tuple[str, ...]  # attached, in the order written
    findings: Findings

    @property
    def name(self) -> str:
        return self.subject.name

    @property
    def kind(self) -> str:
        return self.subject.kind

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(listener.port for listener in self.listeners)

    def listed_listeners(self) -> str:
        return ", ".join(f"{listener.protocol}:{listener.port}" for listener in self.listeners) or "none"


@dataclass(frozen=True, slots=True)
class Gateways:
    by_name: Mapping[str, Gateway] = field(default_factory=dict)
    unreadable: tuple[Findings, ...] = ()  # about AlbConfigs of which no version can be used
    good: Mapping[str, AlbConfig] = field(default_factory=dict)  # for the next translation

    @property
    def attached(self) -> frozenset[str]:
        return frozenset(cluster for gateway in self.by_name.values() for cluster in gateway.clusters)


@dataclass(frozen=True, slots=True)
class _Version:
    """The version of an AlbConfig to use, and the findings about the newest one."""

    config: AlbConfig
    complete: bool
    listeners: tuple[PlannedListener, ...]
    findings: Findings


def build_gateways(fleet: FleetObjects, facts: Facts, last_good: LastGood) -> Gateways:
    """Return every AlbConfig as it is live. A port that two of them name belongs to the older."""
    versions: list[_Version] = []
    unreadable: list[Findings] = []
    for findings, current in _newest(fleet):
        version = _usable_version(findings, current, last_good)
        if version is None:
            unreadable.append(findings)
        else:
            versions.append(version)
    versions.sort(
        key=lambda version: (version.config.metadata.creation_timestamp, version.findings.subject.name)
    )
    owners: dict[int, str] = {}
    gateways = [_gateway(version, owners, facts) for version in versions]
    return Gateways(
        by_name={gateway.name: gateway for gateway in sorted(gateways, key=lambda gateway: gateway.name)},
        unreadable=tuple(unreadable),
        good={version.findings.subject.identity: version.config for version in versions if version.complete},
    )


def _newest(fleet: FleetObjects) -> Iterator[tuple[Findings, AlbConfig | None]]:
    """Yield each AlbConfig that is not being deleted; None for one that cannot be read."""
    for config in fleet.albconfigs.values():
        if config.metadata.deletion_timestamp is None:
            yield Findings(Subject.of("AlbConfig", config.metadata)), config
    for malformed in fleet.malformed:
        if malformed.kind == "AlbConfig":
            findings = Findings(Subject("AlbConfig", "", malformed.name, malformed.uid))
            findings.add("FG0100", problem=malformed.error)
            yield findings, None


def _usable_version(findings: Findings, current: AlbConfig | None, last_good: LastGood) -> _Version | None:
    listeners: tuple[PlannedListener, ...] = ()
    if current is not None:
        check_keys(current.metadata.annotations, Scope.ALBCONFIG, Dialect.ALB, findings)
        listeners = plan_listeners(current, findings)
        if not findings.failed:
            return _Version(current, True, listeners, findings)
    kept = last_good.albconfigs.get(findings.subject.identity)
    if kept is not None:
        findings.note_on_errors(_KEPT)
        return _Version(kept, True, plan_listeners(kept, Findings(findings.subject)), findings)
    findings.note_on_errors(_PARTIAL if current is not None else "the AlbConfig is not used")
    return _Version(current, False, listeners, findings) if current is not None else None


def _gateway(version: _Version, owners: dict[int, str], facts: Facts) -> Gateway:
    findings = version.findings
    annotations = version.config.metadata.annotations
    clusters = remote_clusters.parse(Reader(annotations, Dialect.ALB, findings), facts.known_clusters)
    if not version.config.spec.listeners:
        findings.add("FG0508", "spec.listeners")
    owned: list[Listener] = []
    for planned in version.listeners:
        port = planned.listener.port
        owner = owners.setdefault(port, findings.subject.name)
        if owner != findings.subject.name:
            findings.add("FG0504", f"{planned.field}.port", port, port=port, owner=owner)
            continue
        if port in facts.failed_ports:
            findings.add("FG0507", f"{planned.field}.port", port, port=port, cause=facts.failed_ports[port])
        owned.append(planned.listener)
    owned.sort(key=lambda listener: listener.port)
    return Gateway(Dialect.ALB, findings.subject, tuple(owned), clusters, findings)
