"""The request in a question to `explain`, as a client would write it, into the form that routing reads."""

from collections.abc import Collection, Iterator
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

import msgspec
from msgspec.structs import replace

from proxy.http.errors import RequestError
from proxy.http.grammar import FIELD_LINE, HOST
from proxy.http.request_line import parse_request_line
from proxy.model.snapshot import Listener, Snapshot
from proxy.routing.explain import Inquiry, covers_host

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_CLIENT: Final = "127.0.0.1"
_AS_WRITTEN: Final = "".join(map(chr, range(0x21, 0x7F)))
"""Characters of a path that clients send as they are."""


Headers = tuple[tuple[str, str], ...]


class QuestionError(ValueError):
    """A question that cannot be asked; the message is one line."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`all`: also routes that are nowhere near."""

    url: str
    method: str = "GET"
    headers: Headers = ()
    client: str = _CLIENT
    all: bool = False


class Request(msgspec.Struct, frozen=True):
    """A question as a request to a listener; `note` names assumptions.

    `readings` are other paths that servers read in the one that is asked for; they must take the same route.
    """

    asked: Inquiry
    listener: Listener | None
    note: str = ""
    readings: tuple[str, ...] = ()


def request_of(question: Question, snapshot: Snapshot) -> Request:
    """Return the request as a listener of the snapshot gets it. Raises QuestionError."""
    url, port = _split(question.url)
    client = question.client or _CLIENT
    try:
        ip_address(client)
    except ValueError:
        raise QuestionError(f"{client!r} is no address of a client; write e.g. 10.1.2.3") from None
    path, readings = _path(question.method, url.path or "/")
    asked = Inquiry(
        port,
        _host(url, question.headers),
        path,
        question.method,
        url.query,
        tuple(_fields(question.headers)),
        client,
    )
    request = replace(_at_listener(asked, url.port is not None, snapshot), readings=readings)
    if request.listener is not None and not request.note and "://" in question.url:
        _check_scheme(url.scheme, request.listener)
    return request


def _check_scheme(scheme: str, listener: Listener) -> None:
    """Raises QuestionError for a URL of the other protocol, which the listener answers 400."""
    spoken = listener.protocol.lower()
    if scheme != spoken:
        said = f"port {listener.port} speaks {listener.protocol}: such a request is answered 400"
        raise QuestionError(f"{said}; write {spoken}://")


def _split(text: str) -> tuple[SplitResult, int]:
    written = text if "://" in text else f"http://{text}"
    try:
        url = urlsplit(written)
        port = url.port or _DEFAULT_PORTS.get(url.scheme, 0)
    except ValueError as error:
        raise QuestionError(f"{text!r} is no URL: {error}") from None
    if not port or not url.hostname:
        raise QuestionError(f"{text!r} is no URL; write e.g. http://shop.example.com/cart?id=7")
    return url, port


def _path(method: str, path: str) -> tuple[str, tuple[str, ...]]:
    """Return the path as routes match it, and its other readings.

    Raises QuestionError for a path that workers refuse.
    """
    target = quote(path, safe=_AS_WRITTEN)
    try:
        line = parse_request_line(f"{method} {target} HTTP/1.1".encode())
    except RequestError as error:
        raise QuestionError(f"{error.detail}: such a request is answered {error.status}") from None
    others = line.resource.readings
    readings = sorted(others.as_path) if others is not None else []
    return line.resource.path.decode(), tuple(reading.decode() for reading in readings)


def _host(url: SplitResult, headers: Headers) -> str:
    """Return the name in the Host field, or of the URL, as routes match it. Raises QuestionError."""
    named = [value.strip() for name, value in headers if name.lower() == "host"]
    written = named[-1] if named else (url.hostname or "")
    if ":" in written and not named:
        written = f"[{written}]"
    match = HOST.fullmatch(written.encode())
    if match is None:
        raise QuestionError(f"{written!r} is no host name and port: such a request is answered 400")
    host = match.group(1).decode()
    return host.removesuffix(".") if len(host) > 1 else host


def _fields(headers: Headers) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        if FIELD_LINE.fullmatch(f"{name}: {value}".encode()) is None:
            raise QuestionError(
                f"{f'{name}: {value}'!r} is no header: such a request is answered 400;"
                " names have letters, digits and -"
            )
        if name.lower() != "host":
            yield name, value


def _at_listener(asked: Inquiry, is_explicit: bool, snapshot: Snapshot) -> Request:
    """Without a port in the URL, one listener stands for the one that a load balancer leads to."""
    listeners = {listener.port: listener for listener in snapshot.listeners}
    listener = listeners.get(asked.port)
    if listener is not None or is_explicit or not listeners:
        return Request(asked, listener)
    likely = listeners[_likely_port(asked.host, listeners, snapshot)]
    note = f"no listener on port {asked.port}; asked on port {likely.port} instead"
    return Request(replace(asked, port=likely.port), likely, note)


def _likely_port(host: str, listeners: Collection[int], snapshot: Snapshot) -> int:
    """Return the first port that has routes for the very host, else the first of all."""
    ports = (
        port
        for route in snapshot.routes
        if route.host and covers_host(route.host, host)
        for port in route.ports
    )
    return min((port for port in ports if port in listeners), default=min(listeners))
