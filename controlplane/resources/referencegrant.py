"""ReferenceGrant of gateway.networking.k8s.io: the objects of its namespace that others may refer to."""

import msgspec

from controlplane.resources.meta import ObjectMeta


class GrantFrom(msgspec.Struct, frozen=True):
    group: str = ""
    kind: str = ""
    namespace: str = ""


class GrantTo(msgspec.Struct, frozen=True):
    """Without a name all objects of the kind."""

    group: str = ""
    kind: str = ""
    name: str = ""


class ReferenceGrantSpec(msgspec.Struct, frozen=True):
    from_: tuple[GrantFrom, ...] = msgspec.field(default=(), name="from")
    to: tuple[GrantTo, ...] = ()


class ReferenceGrant(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: ReferenceGrantSpec = ReferenceGrantSpec()
