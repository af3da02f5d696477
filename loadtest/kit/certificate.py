"""A certificate for the site: with a key on P-256, as most sites have, made anew for each run."""

from dataclasses import dataclass
from pathlib import Path

from controlplane.embedded.certificate import self_signed


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Paths of PEM files; `both` has the certificate and then the key."""

    certificate: Path
    key: Path
    both: Path


def made(directory: Path, host: str) -> KeyPair:
    """Write a self-signed certificate for a host, and its key, readable by the owner only."""
    certificate, key = self_signed("fleetgate comparison", (host,))
    pair = KeyPair(directory / "site.crt", directory / "site.key", directory / "site.pem")
    contents = {pair.certificate: certificate, pair.key: key, pair.both: certificate + key}
    for path, content in contents.items():
        path.touch(0o600)
        path.write_bytes(content)
    return pair
