"""The inputs of a translation besides the objects, and its results."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec import field

from controlplane.resources.albconfig import AlbConfig
from controlplane.resources.ingress import Ingress
from controlplane.resources.kinds import Kind
from controlplane.resources.mseingressconfig import MseIngressConfig
from controlplane.resources.servergroup import ServerGroup
from controlplane.translate.diagnostics import Diagnostic
from controlplane.translate.keypairs import KeyPair
from proxy.model.limits import Limits
from proxy.model.snapshot import Snapshot
from proxy.model.tls import Certificate


class HostAddresses(msgspec.Struct, frozen=True):
    """The addresses that a host name last resolved to; `problem` is why the last lookup failed.

    Without both the name has not been looked up yet.
    """

    addresses: tuple[str, ...] = ()  # sorted IPv4 and IPv6 literals
    problem: str = ""


class HostOwnership(StrEnum):
    """Whose rules a host is for."""

    SHARED = "shared"  # everybody's; the more specific path wins
    NAMESPACE = "namespace"  # those of the namespace that has its oldest Ingress


class CrossNamespace(StrEnum):
    """The condition on which an Ingress may refer to an object of another namespace."""

    GRANT = "grant"  # a ReferenceGrant there
    ALLOW = "allow"  # nothing is needed


class Tenancy(msgspec.Struct, frozen=True):
    """How far namespaces that share a gateway are kept apart."""

    host_ownership: HostOwnership = HostOwnership.SHARED
    cross_namespace: CrossNamespace = CrossNamespace.GRANT


DEFAULT_TENANCY: Final = Tenancy()


class Facts(msgspec.Struct, frozen=True):
    """Facts that the gateway knows and no object contains.

    `address` is the IP address or host name that clients use, published in statuses. `failed_ports` are
    listener ports that could not be bound, with the cause. `limits`, `trusted_proxies` (networks) and
    `listen_address` (of this machine, "" for all) are those the gateway was started with. `allow_loopback`
    lets endpoints be on this machine: the demo runs its pods there. `hosts` are the addresses of servers and
    Services that are given by name. `gateway` names the gateway, not the replica. `own_addresses` are those
    of this machine, `admin` are host and port of the admin API. `no_grants` is why there are no
    ReferenceGrants, "" where they are read. `today` is the date, RFC 3339, "" where expiry is of no concern.
    """

    address: str = ""
    known_clusters: frozenset[str] = frozenset()
    failed_ports: Mapping[int, str] = field(default_factory=dict)
    allow_loopback: bool = False
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: tuple[str, ...] = ()
    listen_address: str = ""
    hosts: Mapping[str, HostAddresses] = field(default_factory=dict)
    gateway: str = ""
    own_addresses: frozenset[str] = frozenset()
    admin: tuple[str, int] | None = None
    tenancy: Tenancy = field(default_factory=Tenancy)
    no_grants: str = ""
    today: str = ""


class AcceptedIngress(msgspec.Struct, frozen=True):
    """The version of an Ingress that is live; not `complete` when some of its rules were left out."""

    ingress: Ingress
    complete: bool = True


class LastGood(msgspec.Struct, frozen=True):
    """The live version of each object by uid, which stays live when an edit cannot be used.

    A msgspec struct, so that it can be kept on disk beside the snapshot.
    """

    ingresses: dict[str, AcceptedIngress] = {}
    albconfigs: dict[str, AlbConfig] = {}
    mse_configs: dict[str, MseIngressConfig] = {}
    server_groups: dict[str, ServerGroup] = {}


class ObjectStatus(msgspec.Struct, frozen=True):
    """The desired `.status` of an object on the Fleet.

    Conditions come without lastTransitionTime: the writer has a clock and fills it in. With `releases` the
    object is not ours (any more): the writer removes the address that it wrote.
    """

    kind: Kind[Any]
    namespace: str
    name: str
    uid: str
    status: dict[str, Any]
    generation: int = 0  # of the object as it was translated
    releases: str = ""


class Translation(msgspec.Struct, frozen=True):
    snapshot: Snapshot
    diagnostics: tuple[Diagnostic, ...]
    statuses: tuple[ObjectStatus, ...]
    last_good: LastGood
    attached: frozenset[str]  # the member clusters that some gateway uses
    labelled: frozenset[str]  # the namespaces in which some route needs the labels of pods
    hosts: frozenset[str]  # names of servers whose addresses are needed
    certificates: Mapping[str, Certificate] = field(default_factory=dict)  # by id: those of the snapshot
    pairs: Mapping[str, KeyPair] = field(default_factory=dict)  # for the next translation
    authorities: Mapping[str, bytes] = field(default_factory=dict)  # of clients, for the next translation
    secret_namespaces: frozenset[str] = frozenset()  # the namespaces whose Secrets of TLS are needed
    named_secrets: frozenset[str] = frozenset()  # namespace/name of others that are needed
