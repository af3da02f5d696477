"""fleetgate.io/listeners on an MseIngressConfig, which has no field for them. Read in translate/mse.py."""

from typing import Final

from controlplane.translate.annotations.row import OWN, Annotation, Scope
from controlplane.translate.dialects import Dialect

LISTENERS: Final = Annotation(
    "listeners",
    (OWN,),
    Dialect.MSE,
    "names the ports that the gateway opens",
    type="JSON",
    allowed='a JSON array like [{"HTTP": 8080}] with ports from 1 to 65535',
    default='[{"HTTP": 80}]',
    scope=Scope.MSEINGRESSCONFIG,
    example='[{"HTTP": 8080}]',
)
ROWS: Final = (LISTENERS,)
