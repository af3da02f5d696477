"""Services whose endpoints speak TLS, and the authority of their certificates."""

from typing import Final

from msgspec.structs import replace

from proxy.model.snapshot import Snapshot
from proxy.model.tls import BackendTls
from tests.support.certificates import Authority, serving
from tests.support.origin import Answer, Origin, ok

NAME: Final = "web.demo.svc"
AUTHORITY: Final = Authority()
UNVERIFIED: Final = BackendTls()
VERIFIED: Final = BackendTls(verify=True, server_name=NAME, trust=AUTHORITY.bundle.id)


def secured_origin(
    answer: Answer = ok, name: str = NAME, *, days: float = 90.0, clients: bytes = b""
) -> Origin:
    """Return an endpoint with a certificate of the authority; `clients` is whose certificates it demands."""
    return Origin(answer, tls=serving(AUTHORITY.issue(name, days=days), clients))


def secured(snapshot: Snapshot, tls: BackendTls = VERIFIED) -> Snapshot:
    """Return the snapshot with TLS towards all its endpoints."""
    return replace(snapshot, services=tuple(replace(each, tls=tls) for each in snapshot.services))
