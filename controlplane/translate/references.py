"""References to Services of other namespaces: followed only where the owners of those allow it. Pure.

The same holds for the Secrets with which endpoints are spoken to over TLS.
"""

import msgspec
from msgspec.structs import replace

from controlplane.translate.annotations.draft import PlannedTls
from controlplane.translate.diagnostics import Findings
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.grants import Grants
from controlplane.translate.services import ServiceRef, ServiceTls, group_id
from proxy.model.actions import Destination, Split, SplitMode


class References(msgspec.Struct, frozen=True):
    """The objects that Ingresses of one namespace may refer to through one gateway."""

    namespace: str
    gateway: LiveGateway
    grants: Grants
    tls: PlannedTls | None = None  # towards the endpoints of all those Services

    def allow(self, service_id: str) -> bool:
        ref = ServiceRef.parse(service_id)
        if ref.namespace == self.namespace:
            return True
        return self._is_watched(ref) and self.grants.allow_service(self.namespace, ref.namespace, ref.name)

    def destination(self, service_id: str) -> Destination:
        """Return where requests for a Service go; a refused Service counts as one without endpoints.

        So does each with a Secret that is refused: its endpoints would take us for somebody else.
        """
        if self.allow(service_id) and self.allows_secret:
            return Destination(_with_tls(service_id, self.tls))
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

    @property
    def allows_secret(self) -> bool:
        """Whether the Ingresses may use the Secret, if they name one."""
        if self.tls is None or not self.tls.secret:
            return True
        namespace, _, name = self.tls.secret.partition("/")
        return self.grants.allow_secret(self.namespace, namespace, name)

    def report_secret(self, findings: Findings) -> None:
        """Report a refused Secret at the annotation that names it."""
        if self.tls is not None and not self.allows_secret:
            namespace, _, name = self.tls.secret.partition("/")
            findings.add(
                "FG0642", self.tls.field, self.tls.secret, namespace=namespace, name=name,
                own=self.namespace, absence=self.grants.absence,
            )  # fmt: skip

    def _is_watched(self, ref: ServiceRef) -> bool:
        return self.gateway.watched in ("", ref.namespace)


def _with_tls(service_id: str, tls: PlannedTls | None) -> str:
    if tls is None:
        return service_id
    ref = ServiceRef.parse(service_id)
    name = tls.name or f"{ref.name}.{ref.namespace}.svc"
    own = ServiceTls(tls.verify, name if tls.verify or tls.tells_name else "", tls.secret)
    return replace(ref, tls=own).id
