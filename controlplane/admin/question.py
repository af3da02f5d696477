"""A request that is asked about, as a client would write it, to what routing looks at."""

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from proxy.http.errors import RequestError
from proxy.http.path import normalise
from proxy.model.snapshot import Listener, Snapshot
from proxy.routing.explain import Asked

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_CLIENT: Final = "127.0.0.1"


class QuestionError(ValueError):
    """A question that cannot be asked; the message is one line."""


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`all`: also routes that are nowhere near."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    client: str = _CLIENT
    all: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of which listener; `note` says what was assumed."""

    asked: Asked
    listener: Listener | None
    note: str = ""


def request_of(question: Question, snapshot: Snapshot) -> Request:
    """Return the request as a listener of the snapshot gets it. Raises QuestionError."""
    url, port = _split(question.url)
    client = question.client or _CLIENT
    try:
        ip_address(client)
    except ValueError:
        raise QuestionError(f"{client!r} is no address of a client; write e.g. 10.1.2.3") from None
    try:
        path = normalise((url.path or "/").encode()).decode()
    except RequestError as error:
        raise QuestionError(f"{error.detail}: such a request is answered {error.status}") from None
    headers = tuple((name, value) for name, value in question.headers if name.lower() != "host")
    named = [value for name, value in question.headers if name.lower() == "host"]
    host = _without_port(named[-1].strip()) if named else (url.hostname or "")
    asked = Asked(port, host, path, question.method, url.query, headers, client)
    return _at_listener(asked, url.port is not None, snapshot)


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


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _at_listener(asked: Asked, is_explicit: bool, snapshot: Snapshot) -> Request:
    """Without a port in the URL, the first listener stands for the one a load balancer leads to."""
    listeners = {listener.port: listener for listener in snapshot.listeners}
    listener = listeners.get(asked.port)
    if listener is not None or is_explicit or not listeners:
        return Request(asked, listener)
    first = listeners[min(listeners)]
    note = f"no listener on port {asked.port}; asked on port {first.port} instead"
    return Request(replace(asked, port=first.port), first, note)
