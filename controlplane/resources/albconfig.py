"""AlbConfig of alibabacloud.com/v1: one gateway instance with its listeners.

Numbers may be written as strings; they are kept as written, so that one bad value is a finding
about that value and not an object that cannot be read.
"""

import msgspec

from controlplane.resources.meta import ObjectMeta

Number = int | float | str | bool | None
"""A number as the user wrote it; the translation decides whether it can be used."""


class AlbListener(msgspec.Struct, frozen=True, rename="camel"):
    port: Number = None
    protocol: str = ""
    idle_timeout: Number = None
    request_timeout: Number = None


class AlbInstance(msgspec.Struct, frozen=True, rename="camel"):
    """`spec.config`: the load balancer itself."""

    name: str = ""
    address_type: str = ""


class AlbConfigSpec(msgspec.Struct, frozen=True):
    config: AlbInstance = AlbInstance()
    listeners: tuple[AlbListener, ...] = ()


class AlbConfig(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: AlbConfigSpec = AlbConfigSpec()
