"""alb.ingress.kubernetes.io/order: which Ingress comes before which."""

from collections.abc import Mapping
from typing import Final

from controlplane.translate.annotations.numbers import integer
from controlplane.translate.annotations.registry import ALB, field_of
from controlplane.translate.diagnostics import Findings

KEYS: Final = (ALB + "order", ALB + "albconfig.order")
DEFAULT: Final = 10
LAST: Final = 1000


def parse(annotations: Mapping[str, str], findings: Findings) -> int:
    """Return the order, lower first; the default when it is absent or unusable."""
    for key in KEYS:
        text = annotations.get(key)
        if text is None:
            continue
        order = integer(text, 1, LAST)
        if order is None:
            findings.add(
                "FG0201",
                field_of(key),
                text,
                problem="is not an order",
                allowed=f"an integer from 1 to {LAST}",
            )
            return DEFAULT
        return order
    return DEFAULT
