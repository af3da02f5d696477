"""The families of annotations: each is a module with its rows and a function that applies them."""

from collections.abc import Callable
from typing import Final, NamedTuple

from controlplane.translate.annotations import (
    access,
    actions,
    affinity,
    aws,
    body_size,
    canary,
    client_certificates,
    cluster_weight,
    conditions,
    cors,
    destination,
    effective_shares,
    failback,
    failover,
    gateway_listeners,
    headers,
    health,
    hsts,
    limits,
    listen_ports,
    load_balance,
    matching,
    names,
    order,
    priority,
    protocols,
    redirects,
    remote_clusters,
    retries,
    retry_scope,
    rewrite,
    rule_direction,
    scheduler,
    service_names,
    sticky_session,
    subset,
    tls_versions,
    traffic_limits,
    unsupported,
    unsupported_access,
    unsupported_mse,
    unsupported_tls,
)
from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import Annotation


class Family(NamedTuple):
    ROWS: tuple[Annotation, ...]
    apply: Callable[[Reader, Draft], None] | None = None  # None: read elsewhere, or not at all


FAMILIES: Final = (
    Family(listen_ports.ROWS, listen_ports.apply),
    Family(order.ROWS, order.apply),
    Family(cluster_weight.ROWS, cluster_weight.apply),
    Family(failover.ROWS, failover.apply),
    Family(failback.ROWS, failback.apply),
    Family(priority.ROWS, priority.apply),
    Family(service_names.ROWS, service_names.apply),
    Family(health.ROWS, health.apply),
    Family(traffic_limits.ROWS, traffic_limits.apply),
    Family(sticky_session.ROWS, sticky_session.apply),
    Family(scheduler.ROWS, scheduler.apply),
    Family(subset.ROWS, subset.apply),
    Family(canary.ROWS, canary.apply),
    Family(headers.ROWS, headers.apply),
    Family(hsts.ROWS, hsts.apply),
    Family(retries.ROWS, retries.apply),
    Family(retry_scope.ROWS, retry_scope.apply),  # after retries
    Family(cors.ROWS, cors.apply),
    Family(rewrite.ROWS, rewrite.apply),
    Family(redirects.ROWS, redirects.apply),
    Family(tls_versions.ROWS, tls_versions.apply),
    Family(client_certificates.ROWS, client_certificates.apply),
    Family(protocols.ROWS, protocols.apply),
    Family(access.ROWS, access.apply),
    Family(affinity.ROWS, affinity.apply),
    Family(destination.ROWS, destination.apply),
    Family(limits.ROWS, limits.apply),
    Family(body_size.ROWS, body_size.apply),
    Family(load_balance.ROWS, load_balance.apply),
    Family(matching.ROWS, matching.apply),
    Family(conditions.ROWS),  # of single rules: translate/rules.py
    Family(actions.ROWS),
    Family(rule_direction.ROWS),
    Family(names.ROWS),  # which gateway: translate/classes.py
    Family(remote_clusters.ROWS),  # of gateways: translate/gateways.py
    Family(gateway_listeners.ROWS),
    Family(effective_shares.ROWS),  # written by the gateway itself
    Family(unsupported.ROWS),
    Family(unsupported_mse.ROWS),
    Family(unsupported_access.ROWS),
    Family(unsupported_tls.ROWS),
    Family(aws.ROWS),
)


def apply_all(reader: Reader, draft: Draft) -> None:
    """Let every family add its part to the draft."""
    for family in FAMILIES:
        if family.apply is not None:
            family.apply(reader, draft)
