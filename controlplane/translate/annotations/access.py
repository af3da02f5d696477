"""*-source-range: the client addresses that are allowed, for an Ingress or for a whole host."""

from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ANY_MSE, VENDOR, Annotation
from controlplane.translate.dialects import Dialect
from controlplane.translate.networks import parse_network
from proxy.model.policies import Access

MAX_NETWORKS: Final = 10_000
_NETWORKS: Final = "a comma list of IPv4 and IPv6 addresses and networks, as 10.0.0.0/8"


def _row(name: str, prefixes: tuple[str, ...], summary: str) -> Annotation:
    return Annotation(name, prefixes, Dialect.MSE, summary, "comma list", _NETWORKS, example="10.0.0.0/8")


ALLOW: Final = _row("whitelist-source-range", ANY_MSE, "admits only clients with these addresses")
ALLOW_TOO: Final = _row("allowlist-source-range", ANY_MSE, "is the newer spelling of whitelist-source-range")
DENY: Final = _row("denylist-source-range", ANY_MSE, "answers clients with these addresses 403")
DENY_TOO: Final = _row(
    "blacklist-source-range", VENDOR, "does the same as denylist-source-range, which wins over it"
)
DOMAIN_ALLOW: Final = _row(
    "domain-whitelist-source-range",
    VENDOR,
    "admits only clients with these addresses to the hosts of the Ingress, whichever rules of its"
    " namespace they take; an Ingress with addresses of its own is left out",
)
DOMAIN_DENY: Final = _row(
    "domain-blacklist-source-range",
    VENDOR,
    "answers clients with these addresses 403 at the hosts of the Ingress, whichever rules of its"
    " namespace they take; an Ingress with addresses of its own is left out",
)
ROWS: Final = (ALLOW, ALLOW_TOO, DENY, DENY_TOO, DOMAIN_ALLOW, DOMAIN_DENY)


def apply(reader: Reader, draft: Draft) -> None:
    draft.access = _access(
        _first((ALLOW, ALLOW_TOO), reader),
        _first((DENY, DENY_TOO), reader),
    )
    draft.host_access = _access(_networks(DOMAIN_ALLOW, reader), _networks(DOMAIN_DENY, reader))


def _access(allow: tuple[str, ...], deny: tuple[str, ...]) -> Access | None:
    return Access(allow, deny) if allow or deny else None


def _first(rows: tuple[Annotation, Annotation], reader: Reader) -> tuple[str, ...]:
    row, other = rows
    if reader.given(row) is None:
        return _networks(other, reader)
    reader.idle((other,), f"{row.name} wins")
    return _networks(row, reader)


def _networks(row: Annotation, reader: Reader) -> tuple[str, ...]:
    items = reader.items(row)
    given = reader.given(row)
    if items is None or given is None:
        return ()
    if len(items) > MAX_NETWORKS:
        reader.reject(given, f"has {len(items)} items", f"up to {MAX_NETWORKS} of {_NETWORKS}")
        return ()
    networks: dict[str, None] = {}
    for item in items:
        network = parse_network(item)
        if network is None:
            reader.reject(given, f"has {item!r}, which is not an address or a network", row.allowed)
        else:
            networks[network] = None
    return tuple(networks)
