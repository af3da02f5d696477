"""Object metadata, the same for every kind."""

import msgspec


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel"):
    """`metadata` of an object; `namespace` is "" for cluster-scoped kinds. Times are RFC 3339."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: str | None = None
