"""Metrics and the log line of a request, written once, when it is over."""

from proxy.dataplane import DataPlane
from proxy.request.record import DONE, RequestRecord
from proxy.telemetry.access_log import failed_attempts, no_endpoint
from proxy.upstream.endpoint import LiveEndpoint


def account(plane: DataPlane, record: RequestRecord, endpoint: LiveEndpoint | None, flag: str) -> None:
    """Count and log a request, which is done from now on.

    `endpoint` is the last that was tried, `flag` one of proxy.model.flags.
    """
    record.phase = DONE
    if record.policy is not None:
        record.policy.leave()
    duration_s = plane.clock.now() - record.started
    client, plan = record.client, record.plan
    service, cluster = "", ""
    if endpoint is not None:
        service, cluster = endpoint.service, endpoint.cluster
    elif record.choice is not None:
        service = record.choice.service.id
    plan.counters.record(
        client.listener, service, cluster, record.status, flag, duration_s, record.body_bytes,
        record.response_bytes,
    )  # fmt: skip
    log = plane.log
    if log is not None:
        history = record.history
        log.request(  # in the order of the parameters: names would cost pure Python 0.14 µs
            client.log,
            record.status,
            flag,
            plane.version,
            record.line.resource.log,
            record.line.version,
            record.headers.control.log,
            record.request_id,
            plan.log,
            endpoint.log if endpoint is not None else no_endpoint(service),
            int(duration_s * 1_000_000.0),
            record.body_bytes,
            record.response_bytes,
            history.begun if history is not None else 1,
            b"" if history is None else failed_attempts(history.trace, history.suppressed),
        )
