"""AlbConfig of alibabacloud.com/v1: one gateway instance with its listeners."""

from typing import Any

import msgspec

from controlplane.resources.meta import ObjectMeta


class AlbConfig(msgspec.Struct, frozen=True):
    """`spec` is kept as written (numbers may be strings): one bad value is a finding about that value and
    not an object that cannot be read, and an unknown field is seen."""

    metadata: ObjectMeta = ObjectMeta()
    spec: dict[str, Any] = {}
