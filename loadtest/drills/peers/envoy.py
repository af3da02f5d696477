"""Envoy: priorities, outlier detection and retries; endpoints come from a file that it watches (EDS)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.compare.peers import envoy as compared
from loadtest.compare.peers import write
from loadtest.compare.processes import Started
from loadtest.compare.site import HOST, IDLE_TIMEOUT_S, PREFIX
from loadtest.drills.site import CLUSTERS, DEADLINE_S, LOOPBACK, SURVIVOR, TRIES, TRY_S, Site

_TYPES = "type.googleapis.com/envoy.extensions"
_MANY = 100_000
_OTHER_PLACE = {
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
            "update_frequency": 1,  # the next try goes to the other cluster
        },
    },
}
# `reset` and `gateway-error` would send a POST twice; `connect-failure` is when nothing was sent
_RETRY_GET = _OTHER_PLACE | {
    "retry_on": "connect-failure,refused-stream,reset,gateway-error",
    "per_try_timeout": f"{TRY_S}s",
}
_RETRY_POST = _OTHER_PLACE | {"retry_on": "connect-failure,refused-stream"}
# Two endpoints: of 10 % of them, the default, one may be ejected. Errors of our side are not split from the
# others: then an accepted connect begins the count anew, and who resets every request is never ejected
_OUTLIERS = {
    "consecutive_5xx": 5,
    "consecutive_gateway_failure": 5,
    "enforcing_consecutive_gateway_failure": 100,
    "consecutive_local_origin_failure": 5,
    "interval": "1s",
    "base_ejection_time": "5s",
    "max_ejection_percent": 100,
}


class Process:
    """A process and the file of endpoints."""

    def __init__(self, binary: str, site: Site, core: int) -> None:
        self._site = site
        self._process = Started(_command(binary, site), site.directory, (core,))
        self._process.wait_for_port(site.port)

    @property
    def pid(self) -> int:
        return self._process.pid

    def remove(self) -> None:
        _write_endpoints(self._site, (SURVIVOR,))

    def restore(self) -> None:
        _write_endpoints(self._site, CLUSTERS)

    def stop(self) -> None:
        self._process.stop()


@dataclass(frozen=True, slots=True)
class Envoy:
    peer: compared.Envoy
    name: str = "envoy"

    def version(self) -> str:
        return self.peer.version()

    def start(self, site: Site, core: int) -> Process:
        return Process(self.peer.binary, site, core)

    def check_command(self, site: Site) -> list[str]:
        return [*_command(self.peer.binary, site), "--mode", "validate"]


def find() -> Envoy:
    """Raises Missing."""
    return Envoy(compared.find())


def _command(binary: str, site: Site) -> list[str]:
    _write_endpoints(site, CLUSTERS)
    path = write(site.directory / "envoy.json", json.dumps(_configuration(site), indent=1))
    return [binary, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


def _configuration(site: Site) -> dict[str, Any]:
    return {
        "node": {"id": "drill", "cluster": "drill"},
        "static_resources": {
            "listeners": [_listener(site)],
            "clusters": [_cluster(name, site) for name in CLUSTERS],
        },
    }


def _listener(site: Site) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "proxy",
        "common_http_protocol_options": {"idle_timeout": f"{IDLE_TIMEOUT_S}s"},
        "access_log": [
            {
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": f"{_TYPES}.access_loggers.file.v3.FileAccessLog",
                    "path": str(site.access_log),
                },
            }
        ],
        "route_config": {"virtual_hosts": [_virtual_host()]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            }
        ],
    }
    return {
        "address": _address(LOOPBACK, site.port),
        "tcp_backlog_size": 4096,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _virtual_host() -> dict[str, Any]:
    weights = [{"name": cluster, "weight": 50} for cluster in CLUSTERS]
    action = {"weighted_clusters": {"clusters": weights}, "timeout": f"{DEADLINE_S}s"}
    match = {"path_separated_prefix": PREFIX}
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    return {
        "name": "site",
        "domains": [HOST],
        "routes": [
            {"match": match | {"headers": [post]}, "route": action | {"retry_policy": _RETRY_POST}},
            {"match": match, "route": action | {"retry_policy": _RETRY_GET}},
        ],
    }


def _cluster(name: str, site: Site) -> dict[str, Any]:
    # A connect timeout fails all requests of a second at once: with fewer retries permitted, most get 503
    kinds = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    limits = dict.fromkeys(kinds, _MANY)
    source = {"path_config_source": {"path": str(_path(name, site))}, "resource_api_version": "V3"}
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": source},
        "connect_timeout": f"{TRY_S}s",
        "lb_policy": "LEAST_REQUEST",
        "outlier_detection": _OUTLIERS,
        "common_lb_config": {"update_merge_window": "0s"},  # the second ejection would wait for a second
        "circuit_breakers": {"thresholds": [limits]},
    }


def _write_endpoints(site: Site, clusters: tuple[str, ...]) -> None:
    """For each cluster the other one's endpoints are the second priority. A file is moved into its place."""
    for name in CLUSTERS:
        assignment = {
            "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            "cluster_name": name,
            "endpoints": [
                {
                    "priority": priority,
                    "lb_endpoints": [
                        {"endpoint": {"address": _address(*each)}} for each in site.endpoints(of)
                    ],
                }
                for priority, of in enumerate(sorted(clusters, key=name.__ne__))
            ],
        }
        path = _path(name, site)
        new = write(path.with_suffix(".new"), json.dumps({"version_info": "1", "resources": [assignment]}))
        os.replace(new, path)


def _path(name: str, site: Site) -> Path:
    return site.directory / f"{name}.json"


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
