"""The differences between the routes of two snapshots, route by route. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import field

from controlplane.translate.annotations import failback
from controlplane.translate.services import GROUP
from proxy.model.actions import Action, Backend, Forward, Split, SplitMode
from proxy.model.snapshot import Listener, Route, Service, Source

Kind = Literal["added", "removed", "changed"]


class Aspect(msgspec.Struct, frozen=True):
    """One difference: two texts, "" on the side that lacks it."""

    name: str
    before: str
    after: str


class Change(msgspec.Struct, frozen=True):
    """`route` is the running route; an added route does not run yet."""

    kind: Kind
    route: Route
    aspects: tuple[Aspect, ...] = ()


def changed_routes(before: Iterable[Route], after: Iterable[Route]) -> tuple[Change, ...]:
    """Return the changes in the order of the sources' names.

    Within one source, routes belong together that match the same requests, then those with the same id, then
    those that do the same with others than before: their host, path or conditions were edited.
    """
    sources: defaultdict[tuple[str, str, str], _Pairing] = defaultdict(_Pairing)
    for route in before:
        sources[_name(route.source)].before.append(route)
    for route in after:
        sources[_name(route.source)].after.append(route)
    return tuple(change for name in sorted(sources) for change in sources[name].changes())


def changed_listeners(before: Iterable[Listener], after: Iterable[Listener]) -> tuple[Aspect, ...]:
    """Return the listeners that differ, each as a whole."""
    old, new = ({each.port: each for each in listeners} for listeners in (before, after))
    return tuple(
        Aspect(f"listener {port}", _listener(old.get(port)), _listener(new.get(port)))
        for port in sorted(old.keys() | new.keys())
        if _listener(old.get(port)) != _listener(new.get(port))
    )


def changed_services(before: Iterable[Service], after: Iterable[Service]) -> tuple[Aspect, ...]:
    """Return the services in both whose checks differ, and the server groups whose endpoints differ.

    Endpoints of pods come and go without any apply, and so do verdicts of checks.
    """
    old = {service.id: service for service in before}
    return tuple(
        Aspect(f"service {service.id}", _service(old[service.id]), _service(service))
        for service in after
        if service.id in old and _service(old[service.id]) != _service(service)
    )


def _name(source: Source) -> tuple[str, str, str]:
    return source.kind, source.namespace, source.name


class _Pairing(msgspec.Struct):
    """The routes of one source."""

    before: list[Route] = field(default_factory=list)
    after: list[Route] = field(default_factory=list)

    def changes(self) -> list[Change]:
        found: list[Change] = []
        for key in (_matching, _id, _doing):
            for old, new in self._pairs(key):
                aspects = tuple(_aspects(old, new))
                if aspects:
                    found.append(Change("changed", old, aspects))
        found += [Change("removed", route) for route in self.before]
        found += [Change("added", route) for route in self.after]
        return found

    def _pairs(self, key: Any) -> list[tuple[Route, Route]]:
        """Take out the routes that have a key in common, in their order."""
        waiting: defaultdict[Any, list[Route]] = defaultdict(list)
        for route in reversed(self.after):
            waiting[key(route)].append(route)
        pairs: list[tuple[Route, Route]] = []
        alone: list[Route] = []
        for old in self.before:
            if waiting[key(old)]:
                pairs.append((old, waiting[key(old)].pop()))
            else:
                alone.append(old)
        taken = {id(new) for _, new in pairs}
        self.before, self.after = alone, [route for route in self.after if id(route) not in taken]
        return pairs


def _matching(route: Route) -> Any:
    return route.host, route.path, route.conditions, route.priority


def _id(route: Route) -> str:
    return route.id


def _doing(route: Route) -> Any:
    return route.action, route.policies, route.priority, route.order


def _aspects(old: Route, new: Route) -> list[Aspect]:
    before, after = aspects_of(old), aspects_of(new)
    names = dict.fromkeys((*before, *after))
    return [
        Aspect(name, before.get(name, ""), after.get(name, ""))
        for name in names
        if before.get(name, "") != after.get(name, "")
    ]


def aspects_of(route: Route) -> dict[str, str]:
    """Return the properties of a route as texts by name, without its id, age and generation."""
    texts = {
        "ports": ", ".join(str(port) for port in route.ports),
        "host": route.host or "*",
        "path": f"{route.path.value} {route.path.kind}"
        + (" ignoring case" if route.path.ignore_case else ""),
        "conditions": _plain(route.conditions),
        "order": str(route.order),
        "priority": str(route.priority),
        **_action(route.action),
    }
    if route.policies is not None:
        for name in route.policies.__struct_fields__:
            texts[name] = _plain(getattr(route.policies, name))
    return texts


def _action(action: Action) -> dict[str, str]:
    if not isinstance(action, Forward):
        return {"answer": _plain(action)}
    return {
        "backends": ", ".join(_backend(backend) for backend in action.backends),
        "split": _split(action.split),
        "balance": _plain(action.balance),
    }


def _backend(backend: Backend) -> str:
    own = f" ({_split(backend.split)})" if backend.split is not None else ""
    fallbacks = "".join(f" else {fallback.service}" for fallback in backend.fallbacks)
    return f"{backend.service} {backend.weight}{own}{fallbacks}"


def _split(split: Split) -> str:
    by_weight = split.mode is SplitMode.WEIGHTS
    clusters = ", ".join(
        share.cluster
        + (f" {share.weight}" if by_weight else "")
        + (f" priority level {share.priority}" if share.priority else "")
        for share in split.shares
    )
    failover = "" if split.failover else ", no failover"
    allowed = f", failover to {', '.join(split.failover_clusters)}" if split.failover_clusters else ""
    back = f", failback {failback.written(split.failback)}" if split.failback is not None else ""
    return f"{clusters or 'no cluster'}{'' if by_weight else ' by endpoints'}{failover}{allowed}{back}"


def _listener(listener: Listener | None) -> str:
    if listener is None:
        return ""
    return _plain(msgspec.structs.replace(listener, source=Source("", "", "")))


def _service(service: Service) -> str:
    parts = [_endpoints(service)] if service.id.startswith(GROUP) else []
    if service.health is not None:
        asked = _plain(service.health)
        parts.append(f"checks {asked if asked != '{}' else 'by default'}")
    return "; ".join(parts)


def _endpoints(service: Service) -> str:
    return "; ".join(
        f"{group.cluster} "
        + ", ".join(f"{each.address}:{each.port} {each.weight}" for each in group.endpoints)
        for group in service.clusters
    )


def _plain(value: Any) -> str:
    """Return a value of the snapshot as JSON without its defaults, "" when all are defaults."""
    if value is None or value == ():
        return ""
    return msgspec.json.encode(_sparse(value)).decode()


def _sparse(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        return ({"type": tag} if tag else {}) | {
            field.name: _sparse(getattr(value, field.name))
            for field in msgspec.structs.fields(value)
            if field.required or getattr(value, field.name) != field.default
        }
    return [_sparse(item) for item in value] if isinstance(value, tuple) else value
