"""HAProxy as a peer."""

from dataclasses import dataclass

from loadtest.kit import haproxy
from loadtest.kit.processes import Started
from loadtest.kit.site import GRAY, HOST, IDLE_TIMEOUT_S, PREFIX, TRIES, WEIGHTS, Site

# A captured field is there for the log when the request itself is gone
_LOG = {
    "ts": '"%Ts.%ms"',
    "method": '"%HM"',
    "scheme": '"http"',
    "path": '"%[capture.req.hdr(0),json(utf8s)]"',
    "host": '"%[capture.req.hdr(1),json(utf8s)]"',
    "ua": '"%[capture.req.hdr(2),json(utf8s)]"',
    "protocol": '"%HV"',
    "status": "%ST",
    "flag": '"%tsc"',
    "dur_ms": "%Ta",
    "req_bytes": "%U",
    "resp_bytes": "%B",
    "client": '"%ci"',
    "request_id": '"%ID"',
    "route": '"%b"',
    "endpoint": '"%si:%sp"',
    "retries": '"%rc"',
}

# splice-response: large answers go from socket to socket within the kernel, at 1 MB a third of the CPU time.
# pool-*-fd-ratio: by default a fifth of the descriptors in use, by idle clients too, ends the reuse of
# connections to servers: 50 µs per request instead of 24 beside 10,000 idle clients.
# no strict-limits: maxconn asks for two descriptors per connection; most of ours are idle clients with one
_CONFIGURATION = """
global
    nbthread 1
    tune.pool-low-fd-ratio 90
    tune.pool-high-fd-ratio 95
    maxconn 12000
    no strict-limits
    log stdout format raw local0
defaults
    mode http
    log global
    option http-keep-alive
    option splice-response
    http-reuse always
    timeout connect 5s
    timeout client {idle}s
    timeout server 60s
    timeout http-keep-alive {idle}s
    timeout http-request 10s
    retries {retries}
    option redispatch 1
    retry-on conn-failure empty-response response-timeout 502 503 504
    default-server pool-max-conn -1 pool-purge-delay {idle}s
frontend proxy
    bind 127.0.0.1:{port} backlog 4096{protocol}
    unique-id-format %{{+X}}o%ci%cp%fi%fp%Ts%rt%pid
    unique-id-header X-Request-Id
    http-request capture path len 512
    http-request capture req.hdr(host) len 128
    http-request capture req.hdr(user-agent) len 256
    log-format '{{{members}}}'
    acl known_host req.hdr(host),field(1,:) -i {host}
    acl known_path path {prefix}
    acl known_path path_beg {prefix}/
    http-request return status 404 unless known_host known_path
    http-request disable-l7-retry if METH_POST
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    use_backend gray if {{ req.hdr({header}) -m str {value} }}
    default_backend weighted
backend weighted
    balance roundrobin
    {weighted}
backend gray
    balance roundrobin
    option allbackups
    {gray}
"""


@dataclass(frozen=True, slots=True)
class HAProxy:
    program: haproxy.HAProxy
    name: str = "haproxy"
    differs: tuple[str, ...] = (
        "haproxy: writes its log line by line to standard output (a file here), not in blocks",
    )

    def version(self) -> str:
        return self.program.version()

    def start(self, site: Site, core: int) -> Started:
        command = self.program.command(site.directory, _configuration(site))
        process = Started(command, site.directory, (core,), stdout=site.access_log)
        process.wait_for_port(site.port)
        return process

    def check_command(self, site: Site) -> list[str]:
        return self.program.check_command(site.directory, _configuration(site))


def find() -> HAProxy:
    """Return the installed HAProxy. Raises Missing."""
    return HAProxy(haproxy.find())


def _configuration(site: Site) -> str:
    weighted = [
        f"server {cluster}-{number} 127.0.0.1:{port} weight {WEIGHTS[cluster] // len(pair)}"
        for cluster, pair in site.clusters.items()
        for number, port in enumerate(pair)
    ]
    gray = [f"server {number} 127.0.0.1:{port}" for number, port in enumerate(site.clusters["cluster-2"])]
    gray += [
        f"server standby-{number} 127.0.0.1:{port} backup"
        for number, port in enumerate(site.clusters["cluster-1"])
    ]
    header, value = GRAY
    return _CONFIGURATION.format(
        members=",".join(f'"{name}":{value}' for name, value in _LOG.items()),
        idle=IDLE_TIMEOUT_S,
        retries=TRIES - 1,
        port=site.port,
        protocol=_protocol(site),
        host=HOST,
        prefix=PREFIX,
        header=header,
        value=value,
        weighted="\n    ".join(weighted),
        gray="\n    ".join(gray),
    )


def _protocol(site: Site) -> str:
    if site.tls is None:
        return " proto h2" if site.http2 else ""
    return f" ssl crt {site.tls.both} alpn {'h2' if site.http2 else 'http/1.1'}"
