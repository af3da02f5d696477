"""Pod of the core API: only its metadata, for the labels of subsets."""

import msgspec


class PodMeta(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a pod's metadata that is read: pods are many, and their annotations long."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}


class Pod(msgspec.Struct, frozen=True):
    metadata: PodMeta = PodMeta()
