"""Annotations that change nothing here, and those without which an Ingress would have another effect."""

from collections.abc import Mapping
from typing import Final

import msgspec

from controlplane.translate.annotations.row import ALB, Annotation, Support
from controlplane.translate.dialects import Dialect

_OFF: Final = ("false", "")


class Meaning(msgspec.Struct, frozen=True):
    """The effect of an annotation elsewhere, and its values."""

    summary: str
    type: str
    allowed: str
    default: str = ""


def text(summary: str, allowed: str, default: str = "") -> Meaning:
    return Meaning(summary, "string", allowed, default)


def flag(summary: str, default: str = "false") -> Meaning:
    return Meaning(summary, "boolean", "true, false", default)


def switch(summary: str, default: str = "off") -> Meaning:
    return Meaning(summary, "word", "on, off", default)


def word(summary: str, allowed: str, default: str = "") -> Meaning:
    return Meaning(summary, "word", allowed, default)


def number(summary: str, allowed: str, default: str = "") -> Meaning:
    return Meaning(summary, "integer", allowed, default)


def size(summary: str) -> Meaning:
    return Meaning(summary, "size", "bytes; with k, m or g at the end so many times 1024")


def unsupported(
    dialect: Dialect,
    prefixes: tuple[str, ...],
    support: Support,
    note: str,
    meanings: Mapping[str, Meaning],
    neutral: tuple[str, ...] = (),
) -> tuple[Annotation, ...]:
    """Return a row for each name and meaning, all of them with the same support."""
    return tuple(
        Annotation(
            name,
            prefixes,
            dialect,
            meaning.summary,
            meaning.type,
            meaning.allowed,
            meaning.default,
            support,
            note,
            neutral,
        )
        for name, meaning in meanings.items()
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
            "id": text("reuses a load balancer", "the id of a load balancer"),
            "name": text("names the load balancer", "a name"),
            "vswitch-ids": text("says where the load balancer is", "ids of switches"),
            "charge-type": word("says how the load balancer is paid", "PostPay", "PostPay"),
            "address-allocated-mode": word(
                "says how the load balancer gets its addresses", "Dynamic, Fixed", "Dynamic"
            ),
            "edition": word(
                "chooses the edition of the load balancer", "Basic, Standard, StandardWithWaf", "Standard"
            ),
            "access-log": text(
                "sends the load balancer's log to a log service", "a project and a store of the log service"
            ),
            "force-override-listeners": flag("lets the Ingress overwrite listeners made elsewhere"),
        },
    ),
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.NO_EFFECT,
        "listeners are open on every address of the machine",
        {
            "address-type": word(
                "makes the load balancer public or private", "Internet, Intranet", "Internet"
            ),
        },
        neutral=("Internet", ""),
    ),
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.NO_EFFECT,
        _NODES,
        {
            "cross-zone-enabled": flag("spreads requests over the zones of a region", "true"),
            "backend-label": text("chooses nodes as endpoints by their labels", "labels of nodes"),
            "remove-unscheduled-backend": flag("takes unschedulable nodes out of the endpoints"),
        },
    ),
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.NO_EFFECT,
        "connections to endpoints are always kept alive",
        {"backend-keepalive": flag("keeps connections to endpoints alive")},
        neutral=("true",),
    ),
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.NO_EFFECT,
        "requests in flight are always finished, and an endpoint that is taken out gets no new ones",
        {
            "connection-drain-enabled": flag("lets requests end at endpoints that are taken out"),
            "connection-drain-timeout": number(
                "is the time that requests may take at endpoints that are taken out",
                "0 to 900 seconds",
                "300",
            ),
        },
        neutral=_OFF,
    ),
    *unsupported(
        Dialect.ALB,
        (ALB,),
        Support.REFUSED,
        "it names a server group for a whole Ingress; write a ForwardGroup in actions.<service> instead",
        {"server-group-id": text("forwards to a server group", "the id of a server group")},
    ),
)
