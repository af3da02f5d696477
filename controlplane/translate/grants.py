"""References of Ingresses to objects of other namespaces, which a ReferenceGrant there allows. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from controlplane.resources.referencegrant import ReferenceGrant

_INGRESS: Final = ("networking.k8s.io", "Ingress")
_SERVICE: Final = ("", "Service")
_SECRET: Final = ("", "Secret")
_ANY: Final = ""


class Grants:
    """`absence` is the reason why there are no grants."""

    def __init__(
        self, granted: Iterable[ReferenceGrant] = (), *, allow_all: bool = False, absence: str = ""
    ) -> None:
        self._allow_all = allow_all
        self.absence = f" ({absence})" if absence else ""
        self._names: defaultdict[tuple[str, str, str, str], set[str]] = defaultdict(set)
        for grant in granted:
            if grant.metadata.deletion_timestamp is None:
                self._add(grant)

    def _add(self, grant: ReferenceGrant) -> None:
        for source in grant.spec.from_:
            if (source.group, source.kind) == _INGRESS:
                for target in grant.spec.to:
                    place = (source.namespace, grant.metadata.namespace, target.group, target.kind)
                    self._names[place].add(target.name)

    def allow_service(self, source: str, namespace: str, name: str) -> bool:
        """Return whether Ingresses of the namespace `source` may send requests to a Service."""
        return self._allow(source, namespace, _SERVICE, name)

    def allow_secret(self, source: str, namespace: str, name: str) -> bool:
        """Return whether Ingresses of the namespace `source` may use a Secret for TLS to endpoints."""
        return self._allow(source, namespace, _SECRET, name)

    def allow_ingress(self, source: str, namespace: str, name: str) -> bool:
        """Return whether canaries of the namespace `source` may join an Ingress."""
        return self._allow(source, namespace, _INGRESS, name)

    def _allow(self, source: str, namespace: str, kind: tuple[str, str], name: str) -> bool:
        if source == namespace or self._allow_all:
            return True
        names = self._names.get((source, namespace, *kind), ())
        return _ANY in names or name in names


NO_GRANTS: Final = Grants()
