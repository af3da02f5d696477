"""Two listeners of a worker, one in the clear and one with TLS, that serve the same routes."""

import ssl
from typing import NamedTuple

from msgspec.structs import replace

from loadtest.ports import free_port
from proxy.model.limits import Limits
from proxy.model.snapshot import Listener, Route, Service, Snapshot
from proxy.model.tls import HostTls, ListenerTls
from tests.support.certificates import Authority
from tests.support.snapshots import source
from tests.support.worker import WorkerProcess

DEFAULTS = Limits()


class TwoPorts(NamedTuple):
    """The ports, and the authority of the certificate that the second one has for all hosts."""

    plain: int
    tls: int
    authority: Authority

    def trusting(self, *protocols: str) -> ssl.SSLContext:
        """Return the context of a client that offers these protocols by ALPN."""
        context = self.authority.trusting()
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


async def serve_two_ports(
    worker: WorkerProcess,
    routes: tuple[Route, ...],
    services: tuple[Service, ...],
    *names: str,
    http2: bool = False,
    limits: Limits = DEFAULTS,
) -> TwoPorts:
    """Install routes and services on two free ports; the certificate is for `names`."""
    ports = TwoPorts(free_port(), free_port(), Authority())
    certificate = ports.authority.issue(*(names or ("a",)))
    worker.use_certificates(certificate)
    plain = Listener(ports.plain, source(), address="127.0.0.1")
    tls = ListenerTls(http2=http2, hosts=(HostTls("", certificate.id),))
    installed = tuple(replace(each, ports=(ports.plain, ports.tls)) for each in routes)
    listeners = (plain, replace(plain, port=ports.tls, tls=tls))
    await worker.apply(Snapshot(1, listeners, installed, services, limits=limits))
    return ports
