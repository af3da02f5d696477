"""fleetgate.io/retry-scope: where a request may go when an attempt has failed."""

from typing import Final

import msgspec

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import OWN, Annotation
from proxy.model.policies import Retry, RetryScope

RETRY_SCOPE: Final = Annotation(
    "retry-scope",
    (OWN,),
    None,
    "says where a request that failed is tried again: anywhere, in the cluster of the endpoint that"
    " failed, or nowhere",
    type="word",
    allowed=", ".join(RetryScope),
    default=RetryScope.ANY,
    example=RetryScope.SAME_CLUSTER,
)
ROWS: Final = (RETRY_SCOPE,)


def apply(reader: Reader, draft: Draft) -> None:
    """Comes after `retries`, which say how often."""
    word = reader.choice(RETRY_SCOPE, tuple(RetryScope))
    if word is not None and word != RetryScope.ANY:
        draft.retry = msgspec.structs.replace(draft.retry or Retry(), scope=RetryScope(word))
