"""The members of a request that routing reads. The classes of proxy.http have them, unknown to routing."""

from typing import Protocol


class Fields(Protocol):
    """The header fields of a request; names in lower case. Hashed by identity."""

    is_remembered: bool
    """Whether other requests get the same object: only then is its route worth remembering."""

    def values(self, name: bytes) -> tuple[bytes, ...]: ...


class HasMethod(Protocol):
    @property
    def method(self) -> bytes: ...


class Line(Protocol):
    """The request line. The path stands by itself: it is looked up, not compared."""

    @property
    def resource(self) -> HasMethod: ...

    @property
    def query(self) -> bytes:
        """The query as it came, with its question mark; b"" without one."""


class Facts:
    """The facts that conditions look at. A table has one such object and fills it anew for each search."""

    __slots__ = ("client", "fields", "host", "is_particular", "line")

    host: bytes  # in lower case, without port
    fields: Fields
    line: Line
    client: bytes  # address

    def __init__(self) -> None:
        self.is_particular = False
        """Whether a condition has looked at more than host and fields: then the route is not remembered."""
