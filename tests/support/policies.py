"""Requests as policies see them, from their bytes; and snapshots whose only route has policies."""

from typing import Any

import msgspec

from proxy.http.heads import HeadReader, Heads
from proxy.model.actions import Action, Backend
from proxy.model.policies import Policies
from proxy.model.snapshot import Listener, PathMatch, Snapshot
from proxy.policies.asked import Asked
from tests.support.origin import Origin
from tests.support.snapshots import route, service, source


def asked(
    target: str = "/",
    *fields: str,
    method: str = "GET",
    host: str = "shop.example.com",
    scheme: str = "http",
    client: str = "192.0.2.1",
    groups: tuple[str, ...] = (),
) -> Asked:
    """A request as the parsers read it."""
    reader = HeadReader(Heads())
    lines = "".join(f"{field}\r\n" for field in fields)
    reader.read(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n".encode("latin-1"), 0)
    one = Asked(reader.line, reader.headers, scheme.encode(), client.encode(), 40000, 8001)
    one.groups = tuple(group.encode() for group in groups)
    return one


def parsed(wire: bytes) -> tuple[int, dict[str, list[str]], bytes]:
    """Status, fields by name in lower case, body."""
    head, _, body = wire.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        fields.setdefault(name.lower(), []).append(value)
    return int(status_line.split(" ")[1]), fields, body


def policed(
    port: int,
    *origins: Origin,
    policies: Policies | None = None,
    action: Action | None = None,
    path: PathMatch | None = None,
    version: int = 1,
    workers: int = 1,
    trusted_proxies: tuple[str, ...] = (),
    **listener: Any,
) -> Snapshot:
    """One route with policies to the first origin; the others are services service2, service3 …"""
    services = [
        service({"c1": [origin.address]}, f"demo/service{number}:80")
        for number, origin in enumerate(origins, 1)
    ]
    one = route(port)
    one = msgspec.structs.replace(one, policies=policies, action=action or one.action, path=path or one.path)
    return Snapshot(
        version=version,
        listeners=(Listener(port, source(), address="127.0.0.1", **listener),),
        routes=(one,),
        services=tuple(services) or (service({"c1": []}),),
        workers=workers,
        trusted_proxies=trusted_proxies,
    )


def to(number: int) -> tuple[Backend, ...]:
    return (Backend(f"demo/service{number}:80"),)
