"""AlbConfig of alibabacloud.com/v1: one gateway instance with its listeners.

Its parts are kept as written (numbers may be strings), so that one bad value is a finding about that
value and not an object that cannot be read, and an unknown field is seen.
"""

from typing import Any

import msgspec

from controlplane.resources.meta import ObjectMeta


class AlbConfigSpec(msgspec.Struct, frozen=True):
    """`config` is the load balancer itself."""

    config: dict[str, Any] = {}
    listeners: tuple[dict[str, Any], ...] = ()


class AlbConfig(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: AlbConfigSpec = AlbConfigSpec()
