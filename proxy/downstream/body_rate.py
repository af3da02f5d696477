"""Whether a request body comes too slowly: slow POST attacks."""

from proxy.http.errors import RequestError
from proxy.model.limits import Limits
from proxy.request.record import RequestRecord


def rate_error(record: RequestRecord, awaited_s: float, limits: Limits) -> RequestError | None:
    """Return the error for a body that was waited for `awaited_s` seconds in all, None while it may go on."""
    is_late = awaited_s > limits.request_timeout_s > 0
    if is_late and not record.plan.allows_more_than(limits.max_body_bytes):
        return RequestError(408, "the request takes too long to arrive")
    due_s = awaited_s - limits.min_body_rate_grace_s
    if record.body_bytes < due_s * limits.min_body_rate:
        return RequestError(408, "the request body arrives too slowly")
    return None
