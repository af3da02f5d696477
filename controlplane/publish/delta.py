"""The difference between two snapshots: none, endpoints only, or more."""

import msgspec

from proxy.model.snapshot import Service, Snapshot


def endpoint_delta(old: Snapshot, new: Snapshot) -> tuple[Service, ...] | None:
    """Return the services of `new` whose endpoints differ, or None when more than endpoints differs."""
    if _without_endpoints(old) != _without_endpoints(new):
        return None
    before = {service.id: service for service in old.services}
    if before.keys() != {service.id for service in new.services}:
        return None
    return tuple(service for service in new.services if service != before[service.id])


def with_endpoints_of(base: Snapshot, newer: Snapshot) -> tuple[Snapshot, tuple[Service, ...]]:
    """Return `base` with the endpoints that `newer` has for the same services, and the services changed.

    The version stays.
    """
    fresh = {service.id: service for service in newer.services}
    services = tuple(fresh.get(service.id, service) for service in base.services)
    changed = tuple(service for service, old in zip(services, base.services, strict=True) if service != old)
    return msgspec.structs.replace(base, services=services), changed


def _without_endpoints(snapshot: Snapshot) -> Snapshot:
    """Leave out the fields that travel as a delta, rather than name the others: a field may be added."""
    return msgspec.structs.replace(snapshot, version=0, services=())
