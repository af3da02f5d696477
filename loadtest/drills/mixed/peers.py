"""nginx, HAProxy and Envoy in a case: with their default timeouts, and with those of `hang`.

HAProxy has no default timeouts: those of Debian's package are used here. With the timeouts of `hang` a try
has one second, a request three, and a GET three tries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.drills.mixed.cases import Case, Split
from loadtest.drills.mixed.manifests import Address
from loadtest.drills.site import CLUSTERS, DEADLINE_S, HIT, TRIES, TRY_S
from loadtest.kit import envoy, haproxy, nginx
from loadtest.kit.processes import Started
from loadtest.kit.site import HOST, IDLE_TIMEOUT_S, PREFIX

Endpoints = Mapping[str, list[Address]]

_NGINX_MAIN: Final = """worker_processes 1;
user root;"""
_NGINX: Final = """
    access_log {directory}/access.log;
    upstream web {{
        zone web 64k;
        {servers}
        keepalive 64;
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name {host};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        {timeouts}
        location {prefix}/ {{ proxy_pass http://web; }}
    }}
"""
_NGINX_HANG: Final = f"""proxy_connect_timeout {TRY_S}s;
        proxy_read_timeout {TRY_S}s;
        proxy_next_upstream error timeout http_502 http_503 http_504;
        proxy_next_upstream_tries {TRIES};
        proxy_next_upstream_timeout {DEADLINE_S}s;"""

_HAPROXY: Final = """
global
    nbthread 1
    maxconn 4000
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    {timeouts}
frontend proxy
    bind 127.0.0.1:{port}
    http-request disable-l7-retry if METH_POST
    default_backend web
backend web
    balance roundrobin
    {servers}
"""
_HAPROXY_DEBIAN: Final = """timeout connect 5000
    timeout client 50000
    timeout server 50000"""
_HAPROXY_HANG: Final = f"""timeout connect {TRY_S}s
    timeout client {IDLE_TIMEOUT_S}s
    timeout server {TRY_S}s
    retries {TRIES - 1}
    option redispatch 1
    retry-on all-retryable-errors"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A proxy; `command` writes its configuration into a directory and returns the command that starts it."""

    name: str
    version: str
    command: Callable[[Case, Endpoints, int, Path], list[str]]

    def start(self, case: Case, endpoints: Endpoints, port: int, directory: Path, core: int) -> Started:
        """Return when it serves. Raises StartError, OSError."""
        process = Started(self.command(case, endpoints, port, directory), directory, (core,))
        process.wait_for_port(port)
        return process


def found_nginx() -> list[Peer]:
    """Return it twice, with either timeouts. Raises Missing, as the next two do."""
    peer = nginx.find()
    return [
        Peer(f"nginx{suffix}", peer.version(), _nginx(peer, timeouts))
        for suffix, timeouts in (("", ""), ("-hang", _NGINX_HANG))
    ]


def found_haproxy() -> list[Peer]:
    peer = haproxy.find()
    return [
        Peer(f"haproxy{suffix}", peer.version(), _haproxy(peer, timeouts))
        for suffix, timeouts in (("", _HAPROXY_DEBIAN), ("-hang", _HAPROXY_HANG))
    ]


def found_envoy() -> list[Peer]:
    peer = envoy.find()
    return [
        Peer(f"envoy{suffix}", peer.version(), _envoy(peer, has_tries=has_tries))
        for suffix, has_tries in (("", False), ("-hang", True))
    ]


FIND: Final[dict[str, Callable[[], list[Peer]]]] = {
    "envoy": found_envoy,
    "haproxy": found_haproxy,
    "nginx": found_nginx,
}


def _is_standby(case: Case, cluster: str) -> bool:
    return case.split is Split.PREFERRED and cluster == HIT


def _servers(case: Case, endpoints: Endpoints) -> list[tuple[str, int, str]]:
    """Return address, port, and the word that nginx and HAProxy share for a standby."""
    return [
        (host, port, " backup" if _is_standby(case, cluster) else "")
        for cluster in CLUSTERS
        for host, port in endpoints[cluster]
    ]


def _nginx(peer: nginx.Nginx, timeouts: str) -> Callable[[Case, Endpoints, int, Path], list[str]]:
    def command(case: Case, endpoints: Endpoints, port: int, directory: Path) -> list[str]:
        servers = [f"server {host}:{at}{backup};" for host, at, backup in _servers(case, endpoints)]
        http = _NGINX.format(
            directory=directory,
            servers="\n        ".join(servers),
            port=port,
            host=HOST,
            prefix=PREFIX,
            timeouts=timeouts,
        )
        events = "worker_connections 4096;"
        return peer.command(directory, main=_NGINX_MAIN, http=http, events=events, level="crit")

    return command


def _haproxy(peer: haproxy.HAProxy, timeouts: str) -> Callable[[Case, Endpoints, int, Path], list[str]]:
    def command(case: Case, endpoints: Endpoints, port: int, directory: Path) -> list[str]:
        servers = [f"server s{at} {host}:{at}{backup}" for host, at, backup in _servers(case, endpoints)]
        text = _HAPROXY.format(port=port, servers="\n    ".join(servers), timeouts=timeouts)
        return peer.command(directory, text)

    return command


def _envoy(peer: envoy.Envoy, *, has_tries: bool) -> Callable[[Case, Endpoints, int, Path], list[str]]:
    def command(case: Case, endpoints: Endpoints, port: int, directory: Path) -> list[str]:
        configuration = {
            "static_resources": {
                "listeners": [_envoy_listener(port, has_tries=has_tries)],
                "clusters": [_envoy_cluster(case, endpoints, has_tries=has_tries)],
            }
        }
        return peer.command(directory, configuration)

    return command


def _envoy_listener(port: int, *, has_tries: bool) -> dict[str, Any]:
    route: dict[str, Any] = {"cluster": "web"}
    retried = route
    if has_tries:
        route |= {"timeout": f"{DEADLINE_S}s"}
        on = "connect-failure,refused-stream,reset,gateway-error"
        tries = envoy.retries(TRIES) | {"retry_on": on, "per_try_timeout": f"{TRY_S}s"}
        retried = route | {"retry_policy": tries}
    match: dict[str, Any] = {"path_separated_prefix": PREFIX}
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    routes = [{"match": match | {"headers": [post]}, "route": route}, {"match": match, "route": retried}]
    site = {"name": "site", "domains": [HOST], "routes": routes}
    return envoy.listener(port, site, manager={}, router={})


def _envoy_cluster(case: Case, endpoints: Endpoints, *, has_tries: bool) -> dict[str, Any]:
    groups = [
        {
            "priority": int(_is_standby(case, name)),
            "lb_endpoints": [envoy.endpoint(*each) for each in endpoints[name]],
        }
        for name in CLUSTERS
    ]
    return {
        "name": "web",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "web", "endpoints": groups},
    } | ({"connect_timeout": f"{TRY_S}s"} if has_tries else {})
