"""Deadlines of a response: the route's or the listener's timeout bounds all attempts together."""

from math import inf

from proxy.request.record import RequestRecord


def response_deadline(record: RequestRecord, now: float) -> float:
    """Return the deadline (monotonic) of an attempt that has all of the request at `now`."""
    plan = record.plan
    try_timeout_s = plan.retry.try_timeout_s
    if try_timeout_s is not None:
        if not record.deadline:
            record.deadline = _whole_deadline(record, now)
        return min(record.deadline, now + try_timeout_s)
    if record.deadline or plan.response_timeout_s is not None:
        whole = _whole_deadline(record, now)
        return min(whole, record.deadline) if record.deadline else whole
    return now + record.client.response_timeout_s


def limit_attempts(record: RequestRecord, sent: float, now: float) -> None:
    """Bound the attempts that follow a failed one, which was `sent` (monotonic), by the time that is left."""
    if not record.deadline and record.has_whole_body:
        record.deadline = _whole_deadline(record, now) - (now - sent)


def _whole_deadline(record: RequestRecord, now: float) -> float:
    timeout_s = record.plan.response_timeout_s
    if timeout_s is None:
        return now + record.client.response_timeout_s
    return now + timeout_s if timeout_s else inf
