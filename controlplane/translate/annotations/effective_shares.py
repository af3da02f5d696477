"""fleetgate.io/effective-shares: written by the gateway itself, and never read as a rule."""

from typing import Final

from controlplane.translate.annotations.row import OWN, Annotation, Support

EFFECTIVE_SHARES: Final = Annotation(
    "effective-shares",
    (OWN,),
    None,
    "tells the shares of clusters, in percent, while they are not the configured ones",
    type="JSON",
    allowed="by service and cluster: configured, effective and the reason",
    support=Support.NO_EFFECT,
    note="the gateway writes it with --write-shares, and removes it",
)
ROWS: Final = (EFFECTIVE_SHARES,)
(KEY,) = EFFECTIVE_SHARES.keys
