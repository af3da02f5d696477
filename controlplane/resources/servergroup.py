"""ServerGroup of fleetgate.io/v1: servers outside of all clusters, under one name.

Numbers may be written as strings; they are kept as written, so that one bad value is a finding
about that value and not an object that cannot be read.
"""

import msgspec

from controlplane.resources.meta import ObjectMeta
from controlplane.resources.numbers import Number


class Server(msgspec.Struct, frozen=True):
    """`address` is an IP address or a host name."""

    address: str = ""
    port: Number = None
    weight: Number = None
    zone: str = ""


class GroupHealthCheck(msgspec.Struct, frozen=True, rename="camel"):
    """Times in seconds. `codes` are http_2xx to http_5xx."""

    enabled: bool = True
    protocol: str = ""
    method: str = ""
    path: str = ""
    host: str = ""
    port: Number = None
    codes: tuple[str, ...] = ()
    interval_seconds: Number = None
    timeout_seconds: Number = None
    healthy_threshold: Number = None
    unhealthy_threshold: Number = None


class ServerGroupSpec(msgspec.Struct, frozen=True, rename="camel"):
    id: str = ""
    protocol: str = ""
    servers: tuple[Server, ...] = ()
    health_check: GroupHealthCheck | None = None
    failover: tuple[str, ...] = ()


class ServerGroup(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: ServerGroupSpec = ServerGroupSpec()
