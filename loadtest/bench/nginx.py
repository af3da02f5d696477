"""nginx as the common backend and as the peer, configured to do the same work as fleetgate."""

import shutil
import subprocess
import time
from pathlib import Path

import httpx

from loadtest.bench.setup import BODY, HOST, WEIGHTS, Ports

# master_process off: one process, so that pinning and its CPU time are those of the worker alone
_COMMON = """
daemon off;
master_process off;
pid {directory}/{name}.pid;
error_log stderr warn;
events {{ worker_connections 4096; multi_accept on; }}
http {{
    client_body_temp_path {directory}/{name}-body;
    proxy_temp_path {directory}/{name}-proxy;
    fastcgi_temp_path {directory}/{name}-fastcgi;
    uwsgi_temp_path {directory}/{name}-uwsgi;
    scgi_temp_path {directory}/{name}-scgi;
    keepalive_requests 1000000000;
    {body}
}}
"""

_BACKEND = """
    access_log off;
    server {{
        {listens}
        default_type text/plain;
        location / {{ return 200 "{text}"; }}
    }}
"""

_PROXY = """
    log_format json escape=json '{{"time":"$time_iso8601","method":"$request_method","path":"$request_uri",'
        '"host":"$host","status":$status,"bytes":$bytes_sent,"duration":$request_time,'
        '"upstream":"$upstream_addr","id":"$request_id","client":"$remote_addr","agent":"$http_user_agent"}}';
    access_log {directory}/nginx-access.log json buffer=64k flush=1s;
    upstream weighted {{
        {weighted}
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    upstream gray {{
        {gray}
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    map $http_stage $pool {{ default weighted; gray gray; }}
    server {{
        listen 127.0.0.1:{port} default_server;
        return 404;
    }}
    server {{
        listen 127.0.0.1:{port};
        server_name {host};
        location /svc1 {{
            proxy_pass http://$pool;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Request-Id $request_id;
            proxy_next_upstream error timeout http_502 http_503 http_504;
            proxy_next_upstream_tries 3;
        }}
    }}
"""


def binary() -> str:
    """Return the path of nginx. Debian installs it outside the users' PATH."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit("nginx was not found; install it (Debian: apt install nginx-light)")
    return found


def version() -> str:
    done = subprocess.run([binary(), "-v"], capture_output=True, text=True, check=True)
    return done.stderr.strip().rpartition("/")[2]


def backend_configuration(directory: Path, ports: Ports) -> Path:
    listens = "\n        ".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in ports.backends)
    return _write(directory, "backend", _BACKEND.format(listens=listens, text=BODY))


def proxy_configuration(directory: Path, ports: Ports) -> Path:
    weighted = [
        f"server 127.0.0.1:{port} weight={WEIGHTS[cluster] // len(pair)};"
        for cluster, pair in ports.clusters.items()
        for port in pair
    ]
    gray = [f"server 127.0.0.1:{port};" for port in ports.clusters["cluster-2"]]
    gray += [f"server 127.0.0.1:{port} backup;" for port in ports.clusters["cluster-1"]]
    body = _PROXY.format(
        directory=directory,
        weighted="\n        ".join(weighted),
        gray="\n        ".join(gray),
        port=ports.nginx,
        host=HOST,
    )
    return _write(directory, "proxy", body)


def _write(directory: Path, name: str, body: str) -> Path:
    path = directory / f"{name}.conf"
    path.write_text(_COMMON.format(directory=directory, name=name, body=body))
    return path


def start(configuration: Path, core: int, port: int) -> subprocess.Popen[bytes]:
    """Start nginx pinned to a core and return when it listens."""
    command = [
        "taskset",
        "-c",
        str(core),
        binary(),
        "-p",
        str(configuration.parent),
        "-c",
        str(configuration),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    wait_until_listening(process, port)
    return process


def wait_until_listening(process: subprocess.Popen[bytes], port: int, deadline_s: float = 10.0) -> None:
    """Return when the port answers HTTP. Ends the program when the process ends first."""
    deadline = time.monotonic() + deadline_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.02)
    process.kill()
    _, errors = process.communicate()
    raise SystemExit(f"{process.args} did not start: {(errors or b'').decode(errors='replace').strip()}")
