"""Which addresses and ports an endpoint may have: all that is asked of one, wherever it is named."""

import msgspec

from controlplane.translate.addresses import refused_address, refused_port
from controlplane.translate.ownsockets import OwnSockets


class Allowed(msgspec.Struct, frozen=True):
    """`own` are the sockets of this gateway. `loopback` lets endpoints be on this machine."""

    loopback: bool
    own: OwnSockets

    def cause(self, address: str, port: int, version: int) -> str:
        """Return why an endpoint may not have these, "" when it may. `version` is 4 or 6."""
        return (
            refused_address(address, version, self.loopback)
            or refused_port(port)
            or self.own.cause(address, port)
        )
