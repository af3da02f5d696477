"""Which Ingresses want traffic for which service, and in which clusters. Pure."""

from collections.abc import Iterable, Iterator

from controlplane.publish import Pair
from proxy.model.actions import Forward, Split, SplitMode
from proxy.model.snapshot import Route

IngressKey = tuple[str, str]
"""namespace, name"""

INGRESS = "Ingress"


class DemandIndex:
    """The forwards of a snapshot's routes by service. Equal ones of many Ingresses are one."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes
        self.weighted: set[Pair] = set()  # services and clusters that have a weight somewhere
        self._by_service: dict[str, set[Forward]] = {}
        self._ingresses: dict[Forward, set[IngressKey]] = {}
        for route in routes:
            if isinstance(route.action, Forward) and route.source.kind == INGRESS:
                self._add(route.action, (route.source.namespace, route.source.name))

    def forwards(self, services: Iterable[str]) -> set[Forward]:
        """Return those with one of these services as a backend."""
        return {forward for service in services for forward in self._by_service.get(service, ())}

    def ingresses(self, forward: Forward) -> set[IngressKey]:
        return self._ingresses[forward]

    def _add(self, forward: Forward, ingress: IngressKey) -> None:
        known = self._ingresses.get(forward)
        if known is not None:
            known.add(ingress)
            return
        self._ingresses[forward] = {ingress}
        for backend in forward.backends:
            self._by_service.setdefault(backend.service, set()).add(forward)
            split = backend.split or forward.split
            self.weighted.update((backend.service, cluster) for cluster in _weighted(split))


def services_of(forward: Forward) -> Iterator[str]:
    """Yield every service that a forward may use."""
    for backend in forward.backends:
        yield backend.service
        for fallback in backend.fallbacks:
            yield fallback.service


def _weighted(split: Split) -> Iterator[str]:
    if split.mode is SplitMode.WEIGHTS:
        yield from (share.cluster for share in split.shares if share.weight)
