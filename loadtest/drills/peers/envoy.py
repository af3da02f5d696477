"""Envoy: priorities, outlier detection and retries; endpoints come from a file that it watches (EDS)."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.drills.site import CLUSTERS, DEADLINE_S, SURVIVOR, TRIES, TRY_S, Site
from loadtest.kit import envoy
from loadtest.kit.processes import Started
from loadtest.kit.programs import write
from loadtest.kit.site import HOST, IDLE_TIMEOUT_S, PREFIX

_MANY = 100_000
_OTHER_PLACE = envoy.retries(TRIES) | envoy.other_priority_after(1)
"""The next try goes to the other cluster."""
# `reset` and `gateway-error` would send a POST twice; `connect-failure` is when nothing was sent
_RETRY_GET = _OTHER_PLACE | {
    "retry_on": "connect-failure,refused-stream,reset,gateway-error",
    "per_try_timeout": f"{TRY_S}s",
}
_RETRY_POST = _OTHER_PLACE | {"retry_on": "connect-failure,refused-stream"}
# Two endpoints: of 10 % of them, the default, one may be ejected. Errors of our side are not split from the
# others: then an accepted connect begins the count anew, and an endpoint that resets all is never ejected
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

    def __init__(self, program: envoy.Envoy, site: Site, core: int) -> None:
        self._site = site
        self._process = Started(_command(program, site), site.directory, (core,))
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
    program: envoy.Envoy
    name: str = "envoy"

    def version(self) -> str:
        return self.program.version()

    def start(self, site: Site, core: int) -> Process:
        return Process(self.program, site, core)

    def check_command(self, site: Site) -> list[str]:
        return [*_command(self.program, site), "--mode", "validate"]


def find() -> Envoy:
    """Return the installed Envoy. Raises Missing."""
    return Envoy(envoy.find())


def _command(program: envoy.Envoy, site: Site) -> list[str]:
    _write_endpoints(site, CLUSTERS)
    return program.command(site.directory, _configuration(site))


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
        "common_http_protocol_options": {"idle_timeout": f"{IDLE_TIMEOUT_S}s"},
        "access_log": [envoy.access_log(site.access_log)],
    }
    return envoy.listener(site.port, _virtual_host(), manager=manager, router={}, tcp_backlog_size=4096)


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
    """Move a file into its place: for each cluster the other one's endpoints are the second priority."""
    for name in CLUSTERS:
        assignment = {
            "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            "cluster_name": name,
            "endpoints": [
                {
                    "priority": priority,
                    "lb_endpoints": [envoy.endpoint(*each) for each in site.endpoints(of)],
                }
                for priority, of in enumerate(sorted(clusters, key=name.__ne__))
            ],
        }
        path = _path(name, site)
        new = write(path.with_suffix(".new"), json.dumps({"version_info": "1", "resources": [assignment]}))
        os.replace(new, path)


def _path(name: str, site: Site) -> Path:
    return site.directory / f"{name}.json"
