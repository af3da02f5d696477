"""References to Services of other namespaces: followed only where the owners of those allow it. Pure."""

import msgspec

from controlplane.translate.diagnostics import Findings
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.grants import Grants
from controlplane.translate.services import ServiceRef, group_id
from proxy.model.actions import Destination, Split, SplitMode


class References(msgspec.Struct, frozen=True):
    """The objects that Ingresses of one namespace may refer to through one gateway."""

    namespace: str
    gateway: LiveGateway
    grants: Grants

    def allow(self, service_id: str) -> bool:
        ref = ServiceRef.parse(service_id)
        if ref.namespace == self.namespace:
            return True
        return self._is_watched(ref) and self.grants.allow_service(self.namespace, ref.namespace, ref.name)

    def destination(self, service_id: str) -> Destination:
        """Return where requests for a Service go; a refused Service counts as one without endpoints."""
        if self.allow(service_id):
            return Destination(service_id)
        return Destination(group_id(self.namespace, f"refused {service_id}"), Split(SplitMode.ENDPOINTS, ()))

    def report(self, service_id: str, field: str, effect: str, findings: Findings) -> None:
        """Report a refused Service at the field that names it; `effect` is the consequence."""
        ref = ServiceRef.parse(service_id)
        named = {"namespace": ref.namespace, "own": self.namespace, "effect": effect}
        service = f"{ref.namespace}/{ref.name}"
        if not self._is_watched(ref):
            title, watched = self.gateway.title, self.gateway.watched
            findings.add("FG0632", field, service, gateway=title, watched=watched, **named)
        else:
            absence = self.grants.absence
            findings.add("FG0631", field, service, name=ref.name, absence=absence, **named)

    def _is_watched(self, ref: ServiceRef) -> bool:
        return self.gateway.watched in ("", ref.namespace)
