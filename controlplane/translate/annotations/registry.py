"""Every annotation key that is known, as data: scope, support, and which values ask for nothing.

A key that ends in "*" is a family: what stands for the star is a cluster id or a service name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controlplane.translate.diagnostics import Findings, did_you_mean

ALB: Final = "alb.ingress.kubernetes.io/"
NGINX: Final = "nginx.ingress.kubernetes.io/"
OWN: Final = "fleetgate.io/"
_OTHER_DIALECTS = (
    NGINX,
    "mse.ingress.kubernetes.io/",
    "higress.io/",
    "higress.ingress.kubernetes.io/",
)
_MAX_SUGGESTIONS = 10
"""Per object: looking for near keys costs milliseconds, and one object must not slow all others."""


class Scope(StrEnum):
    """The kind of object that an annotation is read from."""

    INGRESS = "Ingress"
    ALBCONFIG = "AlbConfig"


class Support(StrEnum):
    WORKS = "works"
    LATER = "not supported yet; without it the rules still do what they say"
    REFUSED = "not supported yet; without it the rules would do something else, so they are not used"
    NO_EFFECT = "no effect"


@dataclass(frozen=True, slots=True)
class Annotation:
    key: str
    scope: Scope
    support: Support
    neutral: tuple[str, ...] = ()  # values that ask for what happens anyway
    note: str = ""


def _rows(
    prefix: str, support: Support, names: str, *, neutral: tuple[str, ...] = (), note: str = ""
) -> tuple[Annotation, ...]:
    return tuple(Annotation(prefix + name, Scope.INGRESS, support, neutral, note) for name in names.split())


_OFF = ("false", "")
_CREATES_ALB = "it describes a cloud load balancer, which this gateway does not create"

ANNOTATIONS: Final[tuple[Annotation, ...]] = (
    *_rows(
        ALB,
        Support.WORKS,
        "listen-ports order albconfig.order albconfig.name cluster-weight.* conditions.* actions.*",
    ),
    *_rows(OWN, Support.WORKS, "failover failover-clusters"),
    Annotation(ALB + "remote-clusters", Scope.ALBCONFIG, Support.WORKS),
    *_rows(
        ALB,
        Support.LATER,
        "healthcheck-path healthcheck-protocol healthcheck-httpversion healthcheck-method"
        " healthcheck-httpcode healthcheck-code healthcheck-timeout-seconds healthcheck-interval-seconds"
        " healthy-threshold-count unhealthy-threshold-count healthcheck-connect-port"
        " sticky-session-type cookie-timeout cookie backend-scheduler-uch-value"
        " traffic-limit-qps traffic-limit-ip-qps"
        " cors-allow-origin cors-allow-methods cors-allow-headers cors-expose-headers"
        " cors-allow-credentials cors-max-age slow-start-duration connection-drain-timeout",
    ),
    *_rows(
        ALB,
        Support.LATER,
        "healthcheck-enabled ssl-redirect sticky-session enable-cors slow-start-enabled"
        " connection-drain-enabled",
        neutral=_OFF,
    ),
    *_rows(
        ALB,
        Support.LATER,
        "backend-scheduler",
        neutral=("wlc",),
        note="; requests go to the least loaded endpoint",
    ),
    *_rows(
        ALB,
        Support.REFUSED,
        "canary",
        neutral=_OFF,
        note=": as an ordinary Ingress it would take the traffic of its base",
    ),
    *_rows(
        ALB,
        Support.LATER,
        "canary-by-header canary-by-header-value canary-by-cookie canary-weight",
    ),
    *_rows(NGINX, Support.REFUSED, "canary", neutral=_OFF),
    *_rows(NGINX, Support.LATER, "canary-by-header canary-by-header-value canary-by-cookie canary-weight"),
    *_rows(NGINX, Support.LATER, "ssl-redirect", neutral=_OFF),
    *_rows(
        ALB, Support.REFUSED, "backend-protocol", neutral=("http", "HTTP", ""), note="; supported now: http"
    ),
    *_rows(
        ALB, Support.REFUSED, "use-regex", neutral=_OFF, note="; write a regular expression as ~path instead"
    ),
    *_rows(ALB, Support.REFUSED, "rewrite-target server-group-id"),
    *_rows(
        ALB, Support.REFUSED, "rule-direction.*", neutral=("Request", ""), note="; supported now: Request"
    ),
    *_rows(
        ALB,
        Support.NO_EFFECT,
        "backend-keepalive",
        neutral=("true",),
        note="connections are always kept alive",
    ),
    *_rows(
        ALB,
        Support.NO_EFFECT,
        "cross-zone-enabled backend-label remove-unscheduled-backend",
        note="endpoints are pods, in every zone of a cluster",
    ),
    *_rows(
        ALB,
        Support.NO_EFFECT,
        "id name address-type vswitch-ids charge-type address-allocated-mode edition access-log"
        " force-override-listeners",
        note=_CREATES_ALB,
    ),
    *_rows(OWN, Support.LATER, "cluster-priority"),
)

_EXACT: Final = {row.key: row for row in ANNOTATIONS if not row.key.endswith("*")}
_FAMILIES: Final = {row.key[:-1]: row for row in ANNOTATIONS if row.key.endswith("*")}
_NAMES: Final = {
    prefix: tuple(row.key.removeprefix(prefix) for row in ANNOTATIONS if row.key.startswith(prefix))
    for prefix in (ALB, OWN)
}


def lookup(key: str) -> Annotation | None:
    """Return the registry row of an annotation key, None when it is unknown."""
    row = _EXACT.get(key)
    if row is not None:
        return row
    for prefix, family in _FAMILIES.items():
        if len(key) > len(prefix) and key.startswith(prefix):
            return family
    return None


def members(annotations: Mapping[str, str], family: str) -> list[tuple[str, str, str]]:
    """Return (key, what stands for the star, value) of a family like "alb…/cluster-weight.", sorted."""
    return [
        (key, key[len(family) :], annotations[key])
        for key in sorted(annotations)
        if key.startswith(family) and len(key) > len(family)
    ]


def check_keys(annotations: Mapping[str, str], scope: Scope, findings: Findings) -> None:
    """Report every annotation that is unknown, misplaced, or does not do what it says."""
    suggestions = _MAX_SUGGESTIONS
    for key in sorted(annotations):
        prefix = key.partition("/")[0] + "/"
        row = lookup(key)
        if row is not None:
            _check_support(row, key, annotations[key], scope, findings)
        elif prefix in _NAMES:
            hint = _hint(key, prefix) if suggestions > 0 else ""
            suggestions -= 1
            findings.add("FG0213", field_of(key), annotations[key], hint=hint)
        elif prefix in _OTHER_DIALECTS:
            findings.add("FG0207", field_of(key), annotations[key])


def field_of(key: str) -> str:
    """Return the field path of an annotation, as findings name it."""
    return f"metadata.annotations[{key}]"


def _hint(key: str, prefix: str) -> str:
    return did_you_mean(key.removeprefix(prefix), _NAMES[prefix])


def _check_support(row: Annotation, key: str, value: str, scope: Scope, findings: Findings) -> None:
    if row.scope is not scope:
        findings.add("FG0205", field_of(key), value, scope=row.scope.value)
    elif row.support is not Support.WORKS and value.strip() not in row.neutral:
        code = _CODES[row.support]
        allowed = ", ".join(value for value in row.neutral if value)
        findings.add(code, field_of(key), value, note=row.note, allowed=allowed)


_CODES: Final = {Support.LATER: "FG0202", Support.REFUSED: "FG0203", Support.NO_EFFECT: "FG0204"}
