"""Annotations that change nothing here, and those without which an Ingress would do something else."""

from typing import Final

from controlplane.translate.annotations.row import ALB, Annotation, Support
from controlplane.translate.dialects import Dialect

_OFF: Final = ("false", "")


def unsupported(
    dialect: Dialect,
    prefixes: tuple[str, ...],
    support: Support,
    note: str,
    summaries: dict[str, str],
    neutral: tuple[str, ...] = (),
) -> tuple[Annotation, ...]:
    """Return a row for each name and summary, all of them with the same support."""
    return tuple(
        Annotation(name, prefixes, dialect, summary, support=support, note=note, neutral=neutral)
        for name, summary in summaries.items()
    )


_CLOUD: Final = "it describes a cloud load balancer, which this gateway does not create"
_NODES: Final = "endpoints are pods, in every zone of a cluster"

ROWS: Final[tuple[Annotation, ...]] = (
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.NO_EFFECT,
        _CLOUD,
        {
            "id": "reuses a load balancer",
            "name": "names the load balancer",
            "address-type": "makes the load balancer public or private",
            "vswitch-ids": "says where the load balancer is",
            "charge-type": "says how the load balancer is paid",
            "address-allocated-mode": "says how the load balancer gets its addresses",
            "edition": "chooses the edition of the load balancer",
            "access-log": "sends the load balancer's log to a log service",
            "force-override-listeners": "lets the Ingress overwrite listeners made elsewhere",
        },
    ),
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.NO_EFFECT,
        _NODES,
        {
            "cross-zone-enabled": "spreads requests over the zones of a region",
            "backend-label": "chooses nodes as endpoints by their labels",
            "remove-unscheduled-backend": "takes unschedulable nodes out of the endpoints",
        },
    ),
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.NO_EFFECT,
        "connections to endpoints are always kept alive",
        {"backend-keepalive": "keeps connections to endpoints alive"},
        neutral=("true",),
    ),
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.NO_EFFECT,
        "requests in flight are always finished, and an endpoint that is taken out gets no new ones",
        {
            "connection-drain-enabled": "lets requests end at endpoints that are taken out",
            "connection-drain-timeout": "says how long they may take",
        },
        neutral=_OFF,
    ),
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.REFUSED,
        "it names a server group for a whole Ingress; write a ForwardGroup in actions.<service> instead",
        {"server-group-id": "forwards to a server group"},
    ),
)
