"""HAProxy: redispatch, layer 7 retries, active checks and observed traffic; the runtime API for endpoints."""

import socket
from dataclasses import dataclass

from loadtest.drills.site import CLUSTERS, HIT, TRIES, TRY_S, Site
from loadtest.kit import haproxy
from loadtest.kit.processes import Started, StartError
from loadtest.kit.site import HOST, IDLE_TIMEOUT_S, PREFIX

ANSWER_S = 5.0
# One endpoint in trouble is noticed by its traffic (observe, error-limit), and let in again by its checks
_CONFIGURATION = """
global
    nbthread 1
    maxconn 4000
    log stdout format raw local0
    stats socket {directory}/stats.sock level admin
defaults
    mode http
    log global
    option httplog
    option http-keep-alive
    timeout connect {try_s}s
    timeout client {idle}s
    timeout server {try_s}s
    timeout check {try_s}s
    timeout http-keep-alive {idle}s
    timeout http-request 10s
    retries {retries}
    option redispatch 1
    retry-on all-retryable-errors
frontend proxy
    bind 127.0.0.1:{port}{protocol} backlog 4096
    http-request return status 404 unless {{ req.hdr(host) -i {host} }} {{ path_beg {prefix}/ }}
    http-request disable-l7-retry if METH_POST
    default_backend clusters
backend clusters
    balance roundrobin
    option httpchk
    http-check send meth GET uri {prefix}/health ver HTTP/1.1 hdr Host {host}
    default-server check inter 1s fastinter 200ms fall 3 rise 2
    default-server observe layer7 error-limit 5 on-error mark-down
    {servers}
"""


class Process:
    """A process and its runtime API."""

    def __init__(self, program: haproxy.HAProxy, site: Site, core: int) -> None:
        self._site = site
        command = program.command(site.directory, _configuration(site))
        self._process = Started(command, site.directory, (core,), stdout=site.access_log)
        self._process.wait_for_port(site.port)

    @property
    def pid(self) -> int:
        return self._process.pid

    def remove(self) -> None:
        self._set_state("maint")

    def restore(self) -> None:
        self._set_state("ready")

    def stop(self) -> None:
        self._process.stop()

    def _set_state(self, state: str) -> None:
        for _, port in self._site.endpoints(HIT):
            self._order(f"set server clusters/{_name(HIT, port)} state {state}\n")

    def _order(self, text: str) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(ANSWER_S)
            sock.connect(str(self._site.directory / "stats.sock"))
            sock.sendall(text.encode())
            answer = sock.recv(1000).decode().strip()
        if answer:
            raise StartError(f"haproxy does not do {text.strip()!r}: {answer}")


@dataclass(frozen=True, slots=True)
class HAProxy:
    program: haproxy.HAProxy
    name: str = "haproxy"

    def version(self) -> str:
        return self.program.version()

    def start(self, site: Site, core: int) -> Process:
        return Process(self.program, site, core)

    def check_command(self, site: Site) -> list[str]:
        return self.program.check_command(site.directory, _configuration(site))


def find() -> HAProxy:
    """Return the installed HAProxy. Raises Missing."""
    return HAProxy(haproxy.find())


def _name(cluster: str, port: int) -> str:
    return f"{cluster}-{port}"


def _configuration(site: Site) -> str:
    servers = [
        f"server {_name(cluster, port)} {host}:{port}"
        for cluster in CLUSTERS
        for host, port in site.endpoints(cluster)
    ]
    return _CONFIGURATION.format(
        directory=site.directory,
        port=site.port,
        protocol=" proto h2" if site.http2 else "",
        host=HOST,
        prefix=PREFIX,
        servers="\n    ".join(servers),
        retries=TRIES - 1,
        try_s=TRY_S,
        idle=IDLE_TIMEOUT_S,
    )
