"""AlbConfigs and MseIngressConfigs to gateways: the listeners each one owns and the clusters it uses."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import field
from msgspec.structs import replace

from controlplane.resources.albconfig import AlbConfig
from controlplane.resources.ingress import IngressClass
from controlplane.resources.mseingressconfig import MseIngressConfig
from controlplane.resources.view import FleetObjects
from controlplane.translate.annotations import remote_clusters
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.registry import check_keys
from controlplane.translate.annotations.row import Scope
from controlplane.translate.classes import GATEWAYS, Classes, Selector
from controlplane.translate.diagnostics import Findings, Subject
from controlplane.translate.dialects import Dialect
from controlplane.translate.listeners import PlannedListener, plan_listeners
from controlplane.translate.model import Facts, LastGood
from controlplane.translate.mse import plan_mse_listeners, selector_of
from controlplane.translate.tlsfields import NamedSecret
from proxy.model.snapshot import Listener

Config = AlbConfig | MseIngressConfig

_KEPT: Final = "the last good version stays live"
_SCOPES: Final = {Dialect.ALB: Scope.ALBCONFIG, Dialect.MSE: Scope.MSEINGRESSCONFIG}
_DIALECTS: Final = {kind: dialect for dialect, (_, kind) in GATEWAYS.items()}


class LiveGateway(msgspec.Struct, frozen=True):
    """The live version of one AlbConfig or MseIngressConfig. `subject` is its newest version."""

    dialect: Dialect
    subject: Subject
    listeners: tuple[Listener, ...]  # those whose ports it owns, by port
    clusters: tuple[str, ...]  # attached, in the order written
    findings: Findings
    unknown_clusters: tuple[str, ...] = ()  # named, and no members of the Fleet
    serves_ingresses: bool = True  # some class leads to it
    watched: str = ""  # the only namespace that it looks at; "": all
    certificates: Mapping[int, tuple[NamedSecret, ...]] = field(
        default_factory=dict
    )  # by port, default first
    client_authorities: Mapping[int, tuple[NamedSecret, ...]] = field(
        default_factory=dict
    )  # by port, where every client needs a certificate

    @property
    def name(self) -> str:
        return self.subject.name

    @property
    def title(self) -> str:
        """Kind and name."""
        return f"{self.subject.kind} {self.subject.name}"

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(listener.port for listener in self.listeners)

    @property
    def plain_ports(self) -> tuple[int, ...]:
        """Return the ports of HTTP listeners."""
        return tuple(listener.port for listener in self.listeners if listener.tls is None)

    @property
    def tls_ports(self) -> tuple[int, ...]:
        """Return the ports of HTTPS listeners."""
        return tuple(listener.port for listener in self.listeners if listener.tls is not None)

    def listed_listeners(self) -> str:
        return ", ".join(f"{listener.protocol}:{listener.port}" for listener in self.listeners) or "none"


class Gateways(msgspec.Struct, frozen=True):
    by_key: Mapping[tuple[Dialect, str], LiveGateway] = field(default_factory=dict)  # sorted
    classes: Classes = field(default_factory=lambda: Classes({}, {}))
    unreadable: tuple[Findings, ...] = ()  # about objects of which no version can be used
    # For the next translation, by identity
    good_albconfigs: Mapping[str, AlbConfig] = field(default_factory=dict)
    good_mse_configs: Mapping[str, MseIngressConfig] = field(default_factory=dict)

    @property
    def all(self) -> tuple[LiveGateway, ...]:
        return tuple(self.by_key.values())

    @property
    def attached(self) -> frozenset[str]:
        return frozenset(cluster for gateway in self.all for cluster in gateway.clusters)


class _Version(msgspec.Struct, frozen=True):
    """The version of an object to use, and the findings about the newest one."""

    config: Config
    complete: bool
    listeners: tuple[PlannedListener, ...]
    selector: Selector | None  # None: of an AlbConfig
    findings: Findings

    @property
    def title(self) -> str:
        return f"{self.findings.subject.kind} {self.findings.subject.name}"


def build_gateways(fleet: FleetObjects, facts: Facts, last_good: LastGood) -> Gateways:
    """Return every gateway in its live version. A port that two gateways name belongs to the older one."""
    versions: list[_Version] = []
    unreadable: list[Findings] = []
    for findings, current in _newest(fleet):
        version = _usable_version(findings, current, last_good)
        if version is None:
            unreadable.append(findings)
        else:
            versions.append(version)
    versions.sort(key=lambda version: (version.config.metadata.creation_timestamp, version.title))
    selectors = _selectors(versions)
    referred = frozenset(_referred_gateways(fleet.ingress_classes.values()))
    owners: dict[int, str] = {}
    gateways = [_gateway(version, owners, referred, facts) for version in versions]
    good = [(version.findings.subject.identity, version.config) for version in versions if version.complete]
    return Gateways(
        by_key={
            (gateway.dialect, gateway.name): gateway
            for gateway in sorted(gateways, key=lambda gateway: gateway.title)
        },
        classes=Classes(fleet.ingress_classes, selectors),
        unreadable=tuple(unreadable),
        good_albconfigs={identity: config for identity, config in good if isinstance(config, AlbConfig)},
        good_mse_configs={
            identity: config for identity, config in good if isinstance(config, MseIngressConfig)
        },
    )


def _newest(fleet: FleetObjects) -> Iterator[tuple[Findings, Config | None]]:
    """Yield each gateway that is not being deleted; None for a gateway that cannot be read."""
    for kind, configs in (("AlbConfig", fleet.albconfigs), ("MseIngressConfig", fleet.mse_configs)):
        for config in configs.values():
            if config.metadata.deletion_timestamp is None:
                yield Findings(Subject.of(kind, config.metadata)), config
    for malformed in fleet.malformed:
        if malformed.kind in _DIALECTS:
            findings = Findings(Subject(malformed.kind, "", malformed.name, malformed.uid))
            findings.add("FG0100", problem=malformed.error)
            yield findings, None


def _usable_version(findings: Findings, current: Config | None, last_good: LastGood) -> _Version | None:
    kind = findings.subject.kind
    version: _Version | None = None
    if current is not None:
        dialect = _DIALECTS[kind]
        check_keys(current.metadata.annotations, _SCOPES[dialect], dialect, findings)
        version = _read(current, findings, findings)
        if not findings.failed:
            return version
    kept: Config | None = (
        last_good.albconfigs.get(findings.subject.identity)
        if kind == "AlbConfig"
        else last_good.mse_configs.get(findings.subject.identity)
    )
    if kept is not None:
        findings.note_on_errors(_KEPT)
        return _read(kept, Findings(findings.subject), findings)
    effect = f"the rest of the {kind} is used" if version is not None else f"the {kind} is not used"
    findings.note_on_errors(effect)
    return replace(version, complete=False) if version is not None else None


def _read(config: Config, found: Findings, findings: Findings) -> _Version:
    """Return a version, and add its findings to `found`, which the caller may throw away."""
    if isinstance(config, AlbConfig):
        return _Version(config, True, plan_listeners(config, found), None, findings)
    listeners = plan_mse_listeners(config, found)
    return _Version(config, True, listeners, selector_of(config, found), findings)


def _selectors(versions: Iterable[_Version]) -> dict[str, Selector]:
    """Return the selectors by gateway, the oldest first; a selector whose classes are taken is reported."""
    selectors: dict[str, Selector] = {}
    for version in versions:
        own = version.selector
        if own is None:
            continue
        older = next((item for item in selectors.values() if item.covers(own)), None)
        if older is not None:
            field = "spec.ingress.local.ingressClass"
            version.findings.add("FG0106", field, own.ingress_class, owner=older.gateway)
        selectors[own.gateway] = own
    return selectors


def _referred_gateways(classes: Iterable[IngressClass]) -> Iterator[str]:
    for ingress_class in classes:
        parameters = ingress_class.spec.parameters
        if parameters is not None and (parameters.api_group, parameters.kind) == GATEWAYS[Dialect.MSE]:
            yield parameters.name


def _gateway(
    version: _Version, owners: dict[int, str], referred: frozenset[str], facts: Facts
) -> LiveGateway:
    findings, config = version.findings, version.config
    dialect = _DIALECTS[findings.subject.kind]
    reader = Reader(config.metadata.annotations, dialect, findings)
    clusters = remote_clusters.parse(reader, facts.known_clusters)
    selector = version.selector
    serves = selector is None or selector.ingress_class is not None or selector.gateway in referred
    if not serves:
        findings.add("FG0107", "spec.ingress.local.ingressClass")
    listeners = _owned(version, owners, facts)
    return LiveGateway(
        dialect,
        findings.subject,
        listeners,
        clusters.attached,
        findings,
        clusters.unknown,
        serves,
        selector.namespace if selector is not None else "",
        {planned.listener.port: planned.certificates for planned in version.listeners},
        {
            planned.listener.port: planned.client_authorities
            for planned in version.listeners
            if planned.client_authorities is not None
        },
    )


def _owned(version: _Version, owners: dict[int, str], facts: Facts) -> tuple[Listener, ...]:
    """Return the listeners on ports that no older gateway has, by port."""
    findings, title = version.findings, version.title
    owned: list[Listener] = []
    for planned in version.listeners:
        port, field = planned.listener.port, planned.field
        owner = owners.setdefault(port, title)
        if owner != title:
            findings.add("FG0504", field, port, port=port, owner=owner)
            continue
        if port in facts.failed_ports:
            cause = facts.failed_ports[port]
            findings.add("FG0507", field, port, port=port, cause=cause, remedy=planned.remedy)
        owned.append(planned.listener)
    return tuple(sorted(owned, key=lambda listener: listener.port))
