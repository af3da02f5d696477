"""nginx as a peer."""

from dataclasses import dataclass

from loadtest.kit import nginx
from loadtest.kit.processes import Started
from loadtest.kit.site import GRAY, HOST, IDLE_TIMEOUT_S, PREFIX, TRIES, WEIGHTS, Site

ONE_PROCESS = "master_process off;"
"""Directive of the main context: pinning, CPU time and memory are those of the worker alone."""

# Buffers that hold a POST of 10 KB, and no temporary files: else both would be written to disk
_PROXY = """
    {long_lived}
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
        listen 127.0.0.1:{port}{protocol} default_server backlog=4096;
        {pair}
        return 404;
    }}
    server {{
        listen 127.0.0.1:{port}{protocol};
        {pair}
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
    program: nginx.Nginx
    name: str = "nginx"
    differs: tuple[str, ...] = ()

    def version(self) -> str:
        return self.program.version()

    def start(self, site: Site, core: int) -> Started:
        process = Started(self._command(site), site.directory, (core,))
        process.wait_for_port(site.port)
        return process

    def check_command(self, site: Site) -> list[str]:
        return [*self._command(site), "-t"]

    def _command(self, site: Site) -> list[str]:
        return self.program.command(site.directory, main=ONE_PROCESS, http=_proxy(site))


def find() -> Nginx:
    """Return the installed nginx. Raises Missing."""
    return Nginx(nginx.find())


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
        long_lived=nginx.LONG_LIVED,
        log=site.access_log,
        weighted="\n        ".join(weighted),
        gray="\n        ".join(gray),
        header=header,
        value=value,
        port=site.port,
        protocol=(" ssl" if site.tls is not None else "") + (" http2" if site.http2 else ""),
        pair=_pair(site),
        host=HOST,
        prefix=PREFIX,
        tries=TRIES,
        idle=IDLE_TIMEOUT_S,
    )


def _pair(site: Site) -> str:
    if site.tls is None:
        return ""
    versions = "ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache off;"
    return f"ssl_certificate {site.tls.certificate}; ssl_certificate_key {site.tls.key}; {versions}"
