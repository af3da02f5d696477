"""Which AlbConfig an Ingress belongs to, whatever its class says. Read in translate/classes.py."""

from typing import Final

from controlplane.translate.annotations.row import ALB, Annotation
from controlplane.translate.dialects import Dialect

ALBCONFIG_NAME: Final = Annotation(
    "albconfig.name",
    (ALB,),
    Dialect.ALB,
    "names the AlbConfig of the Ingress, whatever its IngressClass says",
    type="name",
    allowed="the name of an AlbConfig on the Fleet",
    example="ackone-gateway-demo",
)
ROWS: Final = (ALBCONFIG_NAME,)
