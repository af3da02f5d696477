"""The endpoints of services as the translation resolves them, without the rest of it."""

from collections.abc import Iterable, Mapping

from controlplane.resources.view import MemberObjects
from controlplane.translate.endpoints import ServiceResolver
from proxy.model.snapshot import Service, Snapshot


def resolve_service(
    service_id: str,
    members: Mapping[str, MemberObjects],
    clusters: Iterable[str],
    *,
    allow_loopback: bool = False,
    previous: Snapshot | None = None,
) -> Service:
    """Return the endpoints of one service id in `clusters`."""
    (service,) = resolve_services(
        (service_id,), members, clusters, allow_loopback=allow_loopback, previous=previous
    )
    return service


def resolve_services(
    service_ids: Iterable[str],
    members: Mapping[str, MemberObjects],
    clusters: Iterable[str],
    *,
    allow_loopback: bool = False,
    previous: Snapshot | None = None,
) -> tuple[Service, ...]:
    """Return the endpoints of each service id in `clusters`; the slices are indexed once for all."""
    resolver = ServiceResolver(members, clusters, allow_loopback=allow_loopback, previous=previous)
    return tuple(resolver.resolve(service_id).service for service_id in service_ids)
