"""Envoy as a peer."""

from dataclasses import dataclass
from typing import Any

from loadtest.kit import envoy
from loadtest.kit.processes import Started
from loadtest.kit.site import GRAY, HOST, IDLE_TIMEOUT_S, PREFIX, TRIES, WEIGHTS, Site

_LOG = {
    "ts": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "scheme": "%REQ(:SCHEME)%",
    "path": "%PATH(NQ)%",
    "host": "%REQ(:AUTHORITY)%",
    "ua": "%REQ(USER-AGENT)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "flag": "%RESPONSE_FLAGS%",
    "dur_ms": "%DURATION%",
    "req_bytes": "%BYTES_RECEIVED%",
    "resp_bytes": "%BYTES_SENT%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "endpoint": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
}
_RETRY = {
    "retry_on": "connect-failure,reset,gateway-error",
    **envoy.retries(TRIES),
    **envoy.other_priority_after(2),  # after both endpoints of a cluster the other cluster is next
}
_MANY = 100_000


@dataclass(frozen=True, slots=True)
class Envoy:
    program: envoy.Envoy
    name: str = "envoy"
    differs: tuple[str, ...] = (
        "envoy: chooses the cluster at random by weight (the others count) and would retry a POST too",
    )

    def version(self) -> str:
        return self.program.version()

    def start(self, site: Site, core: int) -> Started:
        process = Started(self._command(site), site.directory, (core,))
        process.wait_for_port(site.port)
        return process

    def check_command(self, site: Site) -> list[str]:
        return [*self._command(site), "--mode", "validate"]

    def _command(self, site: Site) -> list[str]:
        return self.program.command(site.directory, _configuration(site))


def find() -> Envoy:
    """Return the installed Envoy. Raises Missing."""
    return Envoy(envoy.find())


def _configuration(site: Site) -> dict[str, Any]:
    return {"static_resources": {"listeners": [_listener(site)], "clusters": _clusters(site)}}


def _listener(site: Site) -> dict[str, Any]:
    manager = {
        "use_remote_address": True,  # sets X-Forwarded-For and X-Forwarded-Proto, makes X-Request-Id
        "common_http_protocol_options": {"idle_timeout": f"{IDLE_TIMEOUT_S}s"},
        "access_log": [envoy.access_log(site.access_log, log_format={"json_format": _LOG})],
    }
    router = {"suppress_envoy_headers": True}
    protocol = "h2" if site.http2 else "http/1.1"  # without TLS Envoy goes by how a connection begins
    socket = envoy.tls_socket(site.tls.certificate, site.tls.key, protocol) if site.tls is not None else None
    return envoy.listener(
        site.port, _virtual_host(), manager=manager, router=router, socket=socket, tcp_backlog_size=4096
    )


def _virtual_host() -> dict[str, Any]:
    header, value = GRAY
    match = {"path_separated_prefix": PREFIX}
    condition = {"name": header, "string_match": {"exact": value}}
    weights = [{"name": cluster, "weight": weight} for cluster, weight in WEIGHTS.items()]
    return {
        "name": "site",
        "domains": [HOST, f"{HOST}:*"],
        "request_headers_to_add": [
            {
                "header": {"key": "X-Forwarded-Host", "value": "%REQ(:AUTHORITY)%"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ],
        "retry_policy": _RETRY,
        "routes": [
            {"name": "gray", "match": match | {"headers": [condition]}, "route": {"cluster": "cluster-2"}},
            {"name": "weights", "match": match, "route": {"weighted_clusters": {"clusters": weights}}},
        ],
    }


def _clusters(site: Site) -> list[dict[str, Any]]:
    """Return a cluster for each of ours, in which the other one's endpoints are the second priority."""
    return [
        {
            "name": name,
            "type": "STATIC",
            "connect_timeout": "5s",
            "lb_policy": "LEAST_REQUEST",
            "outlier_detection": {},
            "circuit_breakers": {
                "thresholds": [
                    {"max_connections": _MANY, "max_pending_requests": _MANY, "max_requests": _MANY}
                ]
            },
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [
                    {
                        "priority": int(other != name),
                        "lb_endpoints": [envoy.endpoint("127.0.0.1", port) for port in pair],
                    }
                    for other, pair in site.clusters.items()
                ],
            },
        }
        for name in site.clusters
    ]
