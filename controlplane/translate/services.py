"""References to Services in routes, as one string: the id of a service of the snapshot.

`ns/name:port` is a port of a Service in every cluster. `ns/name:port[version=v2]` are only those of its pods
that carry the labels, and `ns/name:port{c2=other:8080}` is another Service and port in cluster c2. The
endpoints of `ns/name:port(https,verify,name=web,secret=ns/ca)` are spoken to over TLS with these settings:
Ingresses that differ in them share no connections, breakers and health. Characters that could be taken for
punctuation are percent-encoded; names in Kubernetes never have any.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote

import msgspec

_PART: Final = r"[^/:,=\[\]{}()]*"
_ID: Final = re.compile(
    rf"(?P<namespace>{_PART})/(?P<name>{_PART}):(?P<port>{_PART})"
    r"(?:\[(?P<labels>[^\[\]{}()]+)\])?(?:\{(?P<overrides>[^\[\]{}()]+)\})?"
    r"(?:\(https(?P<verify>,verify)?(?:,name=(?P<tls_name>[^,()]+))?(?:,secret=(?P<secret>[^,()]+))?\))?"
)


class ClusterService(msgspec.Struct, frozen=True):
    """Name and port of a Service in one cluster; "" is the same as everywhere else."""

    cluster: str
    name: str = ""
    port: str = ""


class ServiceTls(msgspec.Struct, frozen=True):
    """TLS towards the endpoints of a Service, as an Ingress wants it."""

    verify: bool = False
    name: str = ""  # told to endpoints, and verified; "": none
    secret: str = ""  # namespace/name of the Secret with authority and key pair; "": none

    @property
    def suffix(self) -> str:
        """The part of the id of a service."""
        verify = ",verify" if self.verify else ""
        name = f",name={_quoted(self.name)}" if self.name else ""
        secret = f",secret={quote(self.secret, safe='/')}" if self.secret else ""
        return f"(https{verify}{name}{secret})"


class ServiceRef(msgspec.Struct, frozen=True):
    """A port of a Service, by number or name, in all clusters; `of` sorts labels and overrides."""

    namespace: str
    name: str
    port: str
    labels: tuple[tuple[str, str], ...] = ()  # sorted; only pods that carry all of them
    overrides: tuple[ClusterService, ...] = ()  # by cluster
    tls: ServiceTls | None = None  # None: in the clear

    @classmethod
    def of(
        cls,
        namespace: str,
        name: str,
        port: int | str,
        *,
        labels: Mapping[str, str] | None = None,
        overrides: Mapping[str, tuple[str, str]] | None = None,
    ) -> "ServiceRef":
        """Return the reference; `overrides` are (name, port) by cluster, "" as everywhere else."""
        elsewhere = (ClusterService(cluster, *there) for cluster, there in sorted((overrides or {}).items()))
        return cls(
            namespace,
            name,
            str(port),
            tuple(sorted((labels or {}).items())),
            tuple(entry for entry in elsewhere if entry.name or entry.port),
        )

    @classmethod
    def parse(cls, service_id: str) -> "ServiceRef":
        """Return the reference of an id. Raises ValueError for other texts, the id of a server group for
        example.
        """
        found = _ID.fullmatch(service_id)
        if found is None:
            raise ValueError(f"{service_id!r} is no Service")
        labels = (pair.partition("=") for pair in _items(found["labels"]))
        elsewhere = (entry.partition("=") for entry in _items(found["overrides"]))
        return cls(
            unquote(found["namespace"]),
            unquote(found["name"]),
            unquote(found["port"]),
            tuple((unquote(key), unquote(value)) for key, _, value in labels),
            tuple(_override(cluster, there) for cluster, _, there in elsewhere),
            _tls(found) if service_id.endswith(")") else None,
        )

    @property
    def id(self) -> str:
        """Service.id of the snapshot."""
        text = f"{_quoted(self.namespace)}/{_quoted(self.name)}:{_quoted(self.port)}"
        if self.labels:
            listed = (f"{quote(key, safe='/')}={_quoted(value)}" for key, value in self.labels)
            text += f"[{','.join(listed)}]"
        if self.overrides:
            named = (
                f"{_quoted(item.cluster)}={_quoted(item.name)}:{_quoted(item.port)}"
                for item in self.overrides
            )
            text += f"{{{','.join(named)}}}"
        return text + (self.tls.suffix if self.tls is not None else "")

    def key_in(self, cluster: str) -> str:
        """Return "namespace/name" of the Service in a cluster."""
        return f"{self.namespace}/{self._in(cluster).name or self.name}"

    def port_in(self, cluster: str) -> str:
        """Return the number or name of the port in a cluster."""
        return self._in(cluster).port or self.port

    def _in(self, cluster: str) -> ClusterService:
        return next((item for item in self.overrides if item.cluster == cluster), _AS_EVERYWHERE)


_AS_EVERYWHERE: Final = ClusterService("")


def names_service(wanted: str, service_id: str) -> bool:
    """Return whether `wanted` names this service: by its id, by its id up to the port, by namespace/name, or
    by name. A server group goes by its id, servergroup:namespace/name, or name.
    """
    plain = service_id.partition("[")[0].partition("{")[0].partition("(")[0]
    whole = plain if plain.startswith(GROUP) else plain.rpartition(":")[0]
    return wanted in (service_id, plain, whole, whole.rpartition("/")[2])


def namespace_of(service_id: str) -> str:
    """Return the namespace of a Service, or of a server group."""
    return unquote(service_id.removeprefix(GROUP).partition("/")[0])


def labels_needed(service_ids: Iterable[str]) -> frozenset[str]:
    """Return the namespaces in which these services need the labels of pods."""
    return frozenset(ServiceRef.parse(text).namespace for text in service_ids if "[" in text)


GROUP: Final = "servergroup:"
"""How ids of server groups begin; a namespace has no colon."""


def is_group(service_id: str) -> bool:
    """Return whether an id is that of a server group."""
    return service_id.startswith(GROUP)


def group_id(namespace: str, name: str) -> str:
    """Return Service.id of a server group."""
    return f"{GROUP}{_quoted(namespace)}/{_quoted(name)}"


def _tls(found: "re.Match[str]") -> ServiceTls:
    return ServiceTls(
        found["verify"] is not None, unquote(found["tls_name"] or ""), unquote(found["secret"] or "")
    )


def _override(cluster: str, there: str) -> ClusterService:
    name, _, port = there.partition(":")
    return ClusterService(unquote(cluster), unquote(name), unquote(port))


def _items(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _quoted(text: str) -> str:
    return quote(text, safe="")
