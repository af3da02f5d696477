"""The reaction of a reflector to each kind of failure: one table, no I/O."""

import msgspec

from controlplane.kube.errors import ApiError, KubeError, StreamBroken, Unreachable

MISSING_KIND_S = 5.0
"""The delay for a kind that the server does not know yet; short, because its CRD may be applied soon."""

SERVER_ERRORS_BEFORE_RELIST = 3
MAX_RETRY_AFTER_S = 120.0


class Recovery(msgspec.Struct, frozen=True):
    """How to go on. Without `relist` the watch continues from the same resource version."""

    relist: bool = False
    quorum: bool = False  # with relist: ask for the newest state, our version means nothing here
    knock: bool = False  # wait until the server answers at all, instead of for a time
    at_least_s: float = 0.0
    wait_s: float | None = None  # instead of the back-off


def recovery(error: KubeError, *, listing: bool, failures: int) -> Recovery:
    """Return the reaction to `error`, the `failures`th in a row, while listing or watching."""
    if isinstance(error, Unreachable):
        return Recovery(knock=True)
    if isinstance(error, StreamBroken):
        return Recovery(relist=error.relist)
    if not isinstance(error, ApiError):
        return Recovery()
    if error.version_too_large:
        # This server lags behind the one we talked to, or was restored from a backup.
        return Recovery(relist=True, quorum=True)
    if error.expired:
        # A list with our version is "not older than", so only a list that expires needs quorum.
        return Recovery(relist=True, quorum=listing)
    if error.status == 429:
        return Recovery(at_least_s=min(error.retry_after, MAX_RETRY_AFTER_S))
    if error.status >= 500:
        return Recovery(
            relist=failures >= SERVER_ERRORS_BEFORE_RELIST,
            at_least_s=min(error.retry_after, MAX_RETRY_AFTER_S),
        )
    if error.status == 404:
        return Recovery(relist=True, wait_s=MISSING_KIND_S)
    if error.status in (401, 403):
        return Recovery()  # the cache stays: not being allowed to look is no news about the objects
    return Recovery(relist=True, quorum=True)
