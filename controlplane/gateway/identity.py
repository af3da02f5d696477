"""The name of this gateway in `CDN-Loop`, the gateways that a request has passed; see proxy.http.loops."""

from hashlib import sha256
from secrets import token_hex

from controlplane.kube.lease import LeaderElector
from proxy.model.snapshot import Snapshot


class Identity:
    """Its replicas compete for one Lease, which no other gateway does.

    A replica that has never seen it has a name of its own: then a loop passes each replica once.
    """

    def __init__(self, elector: LeaderElector) -> None:
        self._elector = elector
        self._own = token_hex(8)

    def name(self, previous: Snapshot | None) -> str:
        """Return the name; `previous` may know it from an earlier life."""
        if self._elector.uid:
            return sha256(self._elector.uid.encode()).hexdigest()[:16]
        return (previous.gateway if previous is not None else "") or self._own

    def is_open(self) -> bool:
        """Return whether the Lease has not been read yet."""
        return not self._elector.uid and not self._elector.last_error
