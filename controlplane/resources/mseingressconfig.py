"""MseIngressConfig of mse.alibabacloud.com/v1alpha1: one gateway of the MSE dialect."""

from typing import Any

import msgspec

from controlplane.resources.meta import ObjectMeta


class MseIngressConfig(msgspec.Struct, frozen=True):
    """`spec` is kept as written: its unknown and unusable fields become findings about just them."""

    metadata: ObjectMeta = ObjectMeta()
    spec: dict[str, Any] = {}
