"""Requests as routing sees them."""

from typing import Any

from proxy.http.request_line import RequestLine, Resource
from proxy.routing.table import RouteTable


class Headers:
    """Header fields, by names in which an underscore stands for a hyphen; a list is a field each."""

    def __init__(self, *, is_remembered: bool = False, **fields: str | list[str]) -> None:
        self.is_remembered = is_remembered
        self._fields = {
            name.replace("_", "-").encode(): tuple(
                v.encode() for v in ([value] if isinstance(value, str) else value)
            )
            for name, value in fields.items()
        }

    def values(self, name: bytes) -> tuple[bytes, ...]:
        return self._fields.get(name, ())


NO_HEADERS = Headers()


def find_in(
    table: RouteTable[Any],
    port: int,
    host: str,
    path: str = "/",
    headers: Headers = NO_HEADERS,
    *,
    method: str = "GET",
    query: str = "",
    client: str = "192.0.2.1",
) -> Any:
    """`query` without its question mark."""
    resource = Resource(method.encode(), path.encode(), path.encode())
    line = RequestLine(resource, f"?{query}".encode() if query else b"", 1)
    return table.find(port, host.encode(), path.encode(), headers, line, client.encode())
