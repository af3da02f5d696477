"""nginx: backend of all, and peer."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadtest.compare.peers import SYSTEM_PATH, Missing, write
from loadtest.compare.processes import Started
from loadtest.compare.site import GRAY, HOST, IDLE_TIMEOUT_S, PREFIX, TRIES, WEIGHTS, Site

# master_process off: one process, so that pinning, CPU time and memory are those of the worker alone
_COMMON = """
daemon off;
master_process off;
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
    {body}
}}
"""

# Buffers that hold a POST of 10 KB, and no temporary files: else both would be written to disk
_PROXY = """
    log_format json escape=json '{{"ts":"$msec","method":"$request_method","scheme":"$scheme",'
        '"path":"$uri","host":"$host","ua":"$http_user_agent","protocol":"$server_protocol",'
        '"status":$status,"dur":$request_time,"req_bytes":$request_length,"resp_bytes":$bytes_sent,'
        '"client":"$remote_addr","request_id":"$request_id","route":"$pool","endpoint":"$upstream_addr",'
        '"attempts":"$upstream_status"}}';
    access_log {log} json buffer=64k flush=1s;
    client_body_buffer_size 64k;
    proxy_max_temp_file_size 0;
    proxy_buffers 16 16k;
    proxy_buffer_size 16k;
    upstream weighted {{
        {weighted}
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout {idle}s;
    }}
    upstream gray {{
        {gray}
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout {idle}s;
    }}
    map $http_{header} $pool {{ default weighted; {value} gray; }}
    server {{
        listen 127.0.0.1:{port} default_server backlog=4096;
        return 404;
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name {host};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Request-Id $request_id;
        proxy_next_upstream error timeout http_502 http_503 http_504;
        proxy_next_upstream_tries {tries};
        location = {prefix} {{ proxy_pass http://$pool; }}
        location {prefix}/ {{ proxy_pass http://$pool; }}
        location / {{ return 404; }}
    }}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    binary: str
    name: str = "nginx"
    differs: tuple[str, ...] = ()

    def version(self) -> str:
        done = subprocess.run([self.binary, "-v"], capture_output=True, text=True, check=True)
        return done.stderr.strip().rpartition("/")[2]

    def start(self, site: Site, core: int) -> Started:
        process = Started(self.command(site.directory, _proxy(site)), site.directory, (core,))
        process.wait_for_port(site.port)
        return process

    def check_command(self, site: Site) -> list[str]:
        return [*self.command(site.directory, _proxy(site)), "-t"]

    def command(self, directory: Path, body: str) -> list[str]:
        """Write a configuration with `body` in its http block; return the command that serves it."""
        text = _COMMON.format(directory=directory, body=body, idle=IDLE_TIMEOUT_S)
        return [self.binary, "-p", str(directory), "-c", write(directory / "nginx.conf", text)]


def find() -> Nginx:
    found = shutil.which("nginx") or shutil.which("nginx", path=SYSTEM_PATH)
    if found is None:
        raise Missing("nginx was not found; install it (Debian: apt install nginx-light)")
    return Nginx(found)


def _proxy(site: Site) -> str:
    weighted = [
        f"server 127.0.0.1:{port} weight={WEIGHTS[cluster] // len(pair)};"
        for cluster, pair in site.clusters.items()
        for port in pair
    ]
    gray = [f"server 127.0.0.1:{port};" for port in site.clusters["cluster-2"]]
    gray += [f"server 127.0.0.1:{port} backup;" for port in site.clusters["cluster-1"]]
    header, value = GRAY
    return _PROXY.format(
        log=site.access_log,
        weighted="\n        ".join(weighted),
        gray="\n        ".join(gray),
        header=header,
        value=value,
        port=site.port,
        host=HOST,
        prefix=PREFIX,
        tries=TRIES,
        idle=IDLE_TIMEOUT_S,
    )
