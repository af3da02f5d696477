"""Each field of the snapshot has a producer: a field that nobody sets is a promise that nobody keeps.

(`Snapshot.workers` was such a field: with two workers, limits were twice as high as they said.)
"""

import typing
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml

from controlplane.checks import with_verdicts
from controlplane.publish import Certificates, Held, Publisher, SnapshotStore
from controlplane.translate.annotations.tls_versions import CIPHERS
from controlplane.translate.builder import translate
from controlplane.translate.model import Facts, LastGood
from proxy.model.limits import described, parse_limits
from proxy.model.snapshot import SCHEMA, Snapshot
from tests.support.tls import HOST, entry, gateway, ingress, known, secret, translated
from tests.support.translation import fleet_of, run_case
from tests.translate.test_backend_tls import of_mse
from tests.translate.test_client_certificates import CACERT, TRUST, authorities, have, mse, site

CASES = Path(__file__).parent / "cases"


def _types(hint: Any, found: dict[type, None]) -> dict[type, None]:
    """Return the structs and enumerations that a value of this type may contain."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct | Enum):
        if hint not in found:
            found[hint] = None
            for field in typing.get_type_hints(hint).values() if issubclass(hint, msgspec.Struct) else ():
                _types(field, found)
    else:
        for argument in typing.get_args(hint):
            _types(argument, found)
    return found


def _set_in(value: object) -> Iterator[tuple[type, str]]:
    """Yield what differs from a default somewhere in a value, and the members of enumerations there."""
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            content = getattr(value, field.name)
            if field.required or content != field.default:
                yield type(value), field.name
            yield from _set_in(content)
    elif isinstance(value, tuple):
        for item in value:
            yield from _set_in(item)
    elif isinstance(value, Enum):
        yield type(value), value.name


def _translated() -> Iterator[Snapshot]:
    for path in sorted(CASES.glob("*.yaml")):
        case = yaml.safe_load(path.read_text().partition("\n--- # expected\n")[0])
        yield run_case(case).snapshot
    options = {option: "59" if default != "59" else "58" for option, default, _, _ in described()}
    facts = Facts(limits=parse_limits(options), gateway="a1")
    yield translate(fleet_of([]), {}, facts, LastGood(), 1).snapshot
    strict = gateway({"CertificateId": "infra/own"}, securityPolicyId="tls_cipher_policy_1_3")
    secrets = known(secret("shop", "web-tls", HOST), secret("infra", "own", "example.org"))
    yield of_mse({"proxy-ssl-verify": "on", "proxy-ssl-secret": "shop/backend"}).snapshot
    yield translated([*strict, ingress("web", tls=[entry("web-tls", HOST)])], secrets).snapshot
    nginx = "nginx.ingress.kubernetes.io/"
    narrow = {nginx + "tls-max-protocol-version": "TLSv1.2", nginx + "ssl-cipher": CIPHERS[0]}
    demanding = site(annotations={**narrow, "fleetgate.io/hsts": "max-age=1"})
    yield translated([mse(), demanding], have(authorities(CACERT, TRUST))).snapshot


def _published(snapshot: Snapshot, directory: Path) -> Snapshot:
    store, held = SnapshotStore(directory / "snapshot.json"), Held(directory / "held.json")
    publisher = Publisher(
        directory / "control.sock", "", 2, store, held, Certificates(directory / "certificates")
    )
    publisher.publish(snapshot)
    assert publisher.wanted is not None
    return publisher.wanted


def test_every_field_of_the_snapshot_has_a_producer(tmp_path: Path) -> None:
    produced = set[tuple[type, str]]()
    for snapshot in _translated():
        produced.update(_set_in(snapshot))
        failing = with_verdicts(snapshot, lambda *_: True)
        produced.update(_set_in(_published(failing, tmp_path)))
    wanted = {
        (each, name)
        for each in cast(Iterable[Any], _types(Snapshot, {}))
        for name in (each.__members__ if issubclass(each, Enum) else each.__struct_fields__)
    }
    wanted.remove((Snapshot, "schema"))  # a constant, which the codec and the publisher compare
    assert Snapshot(1).schema == SCHEMA
    assert sorted(f"{each.__name__}.{name}" for each, name in wanted - produced) == []
