"""Checks of a route's action: redirects, fixed responses, and the choice of an endpoint."""

from typing import Final

from proxy.model.actions import (
    Action,
    Algorithm,
    Balance,
    FixedResponse,
    Forward,
    HashKey,
    HashSource,
    Redirect,
    Sticky,
)
from proxy.model.grammar import (
    ANSWER_STATUSES,
    CONTENT_TYPE,
    COOKIE_NAME,
    COOKIE_PATH,
    HOST,
    PORT,
    REDIRECT_STATUSES,
)
from proxy.validation.problem import Problem, Problems, within
from proxy.validation.templates import of_host, of_template

_PROTOCOLS: Final = ("http", "https", "${protocol}")
_NAMED: Final = (HashSource.HEADER, HashSource.QUERY, HashSource.COOKIE)


def of_action(action: Action) -> Problems:
    if isinstance(action, Redirect):
        return of_redirect(action)
    if isinstance(action, FixedResponse):
        return of_fixed(action)
    return of_forward(action)


def of_answer(answer: FixedResponse | Redirect) -> Problems:
    return of_redirect(answer) if isinstance(answer, Redirect) else of_fixed(answer)


def of_redirect(redirect: Redirect) -> Problems:
    if redirect.status not in REDIRECT_STATUSES:
        allowed = ", ".join(map(str, REDIRECT_STATUSES))
        yield Problem("status", str(redirect.status), "is not the status of a redirect", allowed)
    yield from of_template("location", redirect.location)
    if redirect.protocol.lower() not in _PROTOCOLS:
        yield Problem("protocol", redirect.protocol, "is not a protocol", "http, https, ${protocol}")
    yield from of_host("host", redirect.host)
    yield from _of_port(redirect)
    yield from of_template("path", redirect.path)
    yield from of_template("query", redirect.query)


def _of_port(redirect: Redirect) -> Problems:
    port = redirect.port
    if port == "${port}":
        return
    if PORT.fullmatch(port) is None or not 1 <= int(port) <= 65535:
        yield Problem("port", port, "is not a port", "1 to 65535, ${port}")
        return
    host = HOST.fullmatch(redirect.host)
    if host is not None and host[2] and int(host[2]) != int(port):
        yield Problem("port", port, f"contradicts the port of the host {redirect.host}", "the port once")


def of_fixed(response: FixedResponse) -> Problems:
    lowest, highest = ANSWER_STATUSES
    if not lowest <= response.status <= highest:
        allowed = f"{lowest} to {highest}"
        yield Problem("status", str(response.status), "is not the status of a fixed response", allowed)
    if response.content_type and CONTENT_TYPE.fullmatch(response.content_type) is None:
        allowed = "1 to 128 printable ASCII characters"
        yield Problem("content_type", response.content_type, "is not a content type", allowed)


def of_forward(forward: Forward) -> Problems:
    if not forward.backends:
        yield Problem("backends", "", "are none", "at least one")
    for backend in forward.backends:
        if backend.weight < 0:
            yield Problem("backends", str(backend.weight), "is not a weight", "0 or more")
    if forward.balance is not None:
        yield from within("balance", of_balance(forward.balance))


def of_balance(balance: Balance) -> Problems:
    if balance.algorithm is Algorithm.HASH and balance.key is None:
        yield Problem("key", "", "is missing", "what requests are hashed by")
    if balance.key is not None:
        yield from within("key", of_hash_key(balance.key))
    if balance.sticky is not None:
        yield from within("sticky", of_sticky(balance.sticky))


def of_hash_key(key: HashKey) -> Problems:
    if key.source in _NAMED and not key.name:
        yield Problem("name", "", "is missing", "the name of a header, query parameter or cookie")


def of_sticky(sticky: Sticky) -> Problems:
    if COOKIE_NAME.fullmatch(sticky.cookie) is None:
        yield Problem("cookie", sticky.cookie, "is not the name of a cookie", "letters, digits and -_.")
    if COOKIE_PATH.fullmatch(sticky.path) is None:
        allowed = "a path of printable ASCII characters without ; and ,"
        yield Problem("path", sticky.path, "is not the path of a cookie", allowed)
    if sticky.max_age_s is not None and sticky.max_age_s < 0:
        yield Problem("max_age_s", str(sticky.max_age_s), "is not a lifetime", "0 or more seconds")
