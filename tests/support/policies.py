"""Requests as policies see them, from their bytes."""

from proxy.http.heads import HeadReader, Heads
from proxy.policies.asked import Asked


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
