"""nginx: passive health checks and proxy_next_upstream; endpoints are changed by a reload."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from loadtest.compare.peers import nginx as compared
from loadtest.compare.peers import write
from loadtest.compare.processes import START_S, Started
from loadtest.compare.site import HOST, IDLE_TIMEOUT_S, PREFIX
from loadtest.drills.site import CLUSTERS, DEADLINE_S, SURVIVOR, TRIES, TRY_S, Site

# Non-idempotent requests are not tried again once sent: that is the default of proxy_next_upstream.
# worker_shutdown_timeout bounds the worker that a reload leaves behind
_CONFIGURATION = """
daemon off;
worker_processes 1;
worker_shutdown_timeout {deadline}s;
user root;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 16384; multi_accept on; }}
http {{
    client_body_temp_path {directory}/client-body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout {idle}s;
    access_log {log};
    upstream clusters {{
        zone clusters 64k;
        {servers}
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        server_name {host};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_connect_timeout {try_s}s;
        proxy_read_timeout {try_s}s;
        proxy_next_upstream error timeout http_502 http_503 http_504;
        proxy_next_upstream_tries {tries};
        proxy_next_upstream_timeout {deadline}s;
        location {prefix}/ {{ proxy_pass http://clusters; }}
    }}
}}
"""


class Server:
    """A master process and its worker."""

    def __init__(self, binary: str, site: Site, core: int) -> None:
        self._site = site
        path = _write(site, CLUSTERS)
        self._process = Started([binary, "-p", str(site.directory), "-c", path], site.directory, (core,))
        self._process.wait_for_port(site.port)
        self._worker = first_child(self._process)

    @property
    def pid(self) -> int:
        return self._worker

    def remove(self) -> None:
        self._reload((SURVIVOR,))

    def restore(self) -> None:
        self._reload(CLUSTERS)

    def stop(self) -> None:
        self._process.stop()

    def _reload(self, clusters: tuple[str, ...]) -> None:
        _write(self._site, clusters)
        os.kill(self._process.pid, signal.SIGHUP)


def first_child(master: Started) -> int:
    """Return the id of the worker: a master listens before it has one. Raises StartError, OSError."""
    children = Path(f"/proc/{master.pid}/task/{master.pid}/children")
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        found = children.read_text().split()
        if found:
            return int(found[0])
        time.sleep(0.01)
    raise master.failed("it has no worker")


@dataclass(frozen=True, slots=True)
class Nginx:
    peer: compared.Nginx
    name: str = "nginx"

    def version(self) -> str:
        return self.peer.version()

    def start(self, site: Site, core: int) -> Server:
        return Server(self.peer.binary, site, core)

    def check_command(self, site: Site) -> list[str]:
        path = _write(site, CLUSTERS)
        return [self.peer.binary, "-p", str(site.directory), "-c", path, "-t"]


def find() -> Nginx:
    """Raises Missing."""
    return Nginx(compared.find())


def _write(site: Site, clusters: tuple[str, ...]) -> str:
    servers = [f"server {host}:{port};" for name in clusters for host, port in site.endpoints(name)]
    text = _CONFIGURATION.format(
        directory=site.directory,
        log=site.access_log,
        servers="\n        ".join(servers),
        port=site.port,
        host=HOST,
        prefix=PREFIX,
        idle=IDLE_TIMEOUT_S,
        tries=TRIES,
        try_s=TRY_S,
        deadline=DEADLINE_S,
    )
    return write(site.directory / "nginx.conf", text)
