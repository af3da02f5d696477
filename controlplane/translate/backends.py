"""Check that the backends of a route exist in the clusters of its gateway."""

from controlplane.translate.diagnostics import Findings
from controlplane.translate.endpoints import ServiceResolver
from controlplane.translate.gateways import LiveGateway
from controlplane.translate.services import ServiceRef


def check_backend(
    service_id: str,
    field: str,
    effect: str,
    gateway: LiveGateway,
    resolver: ServiceResolver,
    findings: Findings,
) -> None:
    """Report missing parts of a Service at the `field` that names it; `effect` is the consequence."""
    ref = ServiceRef.parse(service_id)
    resolution = resolver.resolve(service_id)
    clusters = sorted(gateway.clusters)
    service = f"{ref.namespace}/{ref.name}"
    if clusters and not (resolution.existing | resolution.unsynced).intersection(clusters):
        listed = ", ".join(clusters)
        findings.add(
            "FG0601",
            field,
            service,
            service=service,
            clusters=listed,
            namespace=ref.namespace,
            effect=effect,
        )
    for cluster in clusters:
        there, port = ref.key_in(cluster), ref.port_in(cluster)
        if cluster in resolution.without_port:
            found = resolution.without_port[cluster]
            findings.add("FG0602", field, port, cluster=cluster, service=there, port=port, found=found)
        if cluster in resolution.unlabelled:
            labels = ", ".join(f"{key}={value}" for key, value in ref.labels)
            findings.add("FG0604", field, labels, cluster=cluster, service=there, labels=labels)
    for cluster, trouble in resolution.troubles:
        if cluster in gateway.clusters:
            trouble.report(cluster, ref.key_in(cluster), field, findings)
