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
        log.request(
            client=client.log,
            status=record.status,
            flag=flag,
            snapshot=plane.version,
            resource=record.line.resource.log,
            version=record.line.version,
            headers=record.headers.control.log,
            request_id=record.request_id,
            route=plan.log,
            endpoint=endpoint.log if endpoint is not None else no_endpoint(service),
            duration_us=int(duration_s * 1_000_000.0),
            request_bytes=record.body_bytes,
            response_bytes=record.response_bytes,
            attempts=history.begun if history is not None else 1,
            failed=b"" if history is None else failed_attempts(history.trace, history.suppressed),
        )
