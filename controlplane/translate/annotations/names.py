"""Which gateway an Ingress belongs to. Read in translate/classes.py."""

from typing import Final

from controlplane.translate.annotations.row import ALB, KUBERNETES, Annotation
from controlplane.translate.dialects import Dialect

ALBCONFIG_NAME: Final = Annotation(
    "albconfig.name",
    (ALB,),
    Dialect.ALB,
    "names the AlbConfig of the Ingress, even if its IngressClass refers to another gateway",
    type="name",
    allowed="the name of an AlbConfig on the Fleet",
    example="ackone-gateway-demo",
)
INGRESS_CLASS: Final = Annotation(
    "ingress.class",
    (KUBERNETES,),
    None,
    "is the older spelling of spec.ingressClassName; alb needs no IngressClass",
    type="name",
    allowed="the name of an IngressClass, or a class that an MseIngressConfig takes",
    example="alb",
)
ROWS: Final = (ALBCONFIG_NAME, INGRESS_CLASS)
