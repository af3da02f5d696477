"""nginx: passive health checks and proxy_next_upstream; endpoints are changed by a reload."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from loadtest.drills.site import CLUSTERS, DEADLINE_S, SURVIVOR, TRIES, TRY_S, Site
from loadtest.kit import nginx
from loadtest.kit.processes import START_S, Started
from loadtest.kit.site import HOST, PREFIX

# worker_shutdown_timeout bounds the worker that a reload leaves behind
_MAIN = f"""worker_processes 1;
worker_shutdown_timeout {DEADLINE_S}s;
user root;"""

# Non-idempotent requests are not tried again once sent: that is the default of proxy_next_upstream.
_HTTP = """
    {long_lived}
    access_log {log};
    upstream clusters {{
        zone clusters 64k;
        {servers}
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port}{protocol} backlog=4096;
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
"""


class Server:
    """A master process and its worker."""

    def __init__(self, program: nginx.Nginx, site: Site, core: int) -> None:
        self._program = program
        self._site = site
        self._process = Started(_command(program, site, CLUSTERS), site.directory, (core,))
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
        _command(self._program, self._site, clusters)
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
    program: nginx.Nginx
    name: str = "nginx"

    def version(self) -> str:
        return self.program.version()

    def start(self, site: Site, core: int) -> Server:
        return Server(self.program, site, core)

    def check_command(self, site: Site) -> list[str]:
        return [*_command(self.program, site, CLUSTERS), "-t"]


def find() -> Nginx:
    """Return the installed nginx. Raises Missing."""
    return Nginx(nginx.find())


def _command(program: nginx.Nginx, site: Site, clusters: tuple[str, ...]) -> list[str]:
    """Write the configuration for endpoints of these clusters; return the command that serves it."""
    servers = [f"server {host}:{port};" for name in clusters for host, port in site.endpoints(name)]
    http = _HTTP.format(
        long_lived=nginx.LONG_LIVED,
        log=site.access_log,
        servers="\n        ".join(servers),
        port=site.port,
        protocol=" http2" if site.http2 else "",
        host=HOST,
        prefix=PREFIX,
        tries=TRIES,
        try_s=TRY_S,
        deadline=DEADLINE_S,
    )
    return program.command(site.directory, main=_MAIN, http=http)
