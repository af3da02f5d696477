"""Which kinds are served right now: the builtin ones and those of established CustomResourceDefinitions."""

from __future__ import annotations

from collections.abc import Iterable

from controlplane.embedded.registry.builtin import builtin_resources
from controlplane.embedded.registry.resource import Resource

# Discovery lists groups in this order, then custom groups by name.
GROUP_ORDER = (
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "apiextensions.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
)


class Registry:
    """Lookup by path; `generation` changes whenever the served kinds do."""

    def __init__(self) -> None:
        self.generation = 0
        self._builtin = {(r.group, r.version, r.plural): r for r in builtin_resources()}
        self._custom: dict[str, tuple[Resource, ...]] = {}
        self._all = dict(self._builtin)

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._all.get((group, version, plural))

    def find_kind(self, api_version: str, kind: str) -> Resource | None:
        return next((r for r in self._all.values() if r.api_version == api_version and r.kind == kind), None)

    def resources(self) -> Iterable[Resource]:
        return self._all.values()

    def stored(self) -> dict[str, Resource]:
        """One resource per storage bucket: the one in whose version objects are kept."""
        return {r.store_key: r for r in self._all.values() if not r.stored_as or r.stored_as == r.api_version}

    def serve(self, definition: str, resources: tuple[Resource, ...]) -> None:
        """Serves the versions of one CustomResourceDefinition; none stops serving it."""
        if resources:
            self._custom[definition] = resources
        else:
            self._custom.pop(definition, None)
        self._all = dict(self._builtin)
        for served in self._custom.values():
            self._all.update({(r.group, r.version, r.plural): r for r in served})
        self.generation += 1

    def served_by(self, definition: str) -> tuple[Resource, ...]:
        return self._custom.get(definition, ())
