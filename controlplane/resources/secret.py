"""Secret of the core API."""

import msgspec

from controlplane.resources.meta import ObjectMeta


class Secret(msgspec.Struct, frozen=True):
    """`data` values are base64. Its representation never shows them."""

    metadata: ObjectMeta = ObjectMeta()
    type: str = ""
    data: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Secret({self.metadata.namespace}/{self.metadata.name}, keys {sorted(self.data)})"
