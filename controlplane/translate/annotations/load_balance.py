"""load-balance, upstream-hash-by, warmup: the algorithm that finds an endpoint for a request."""

import re
from typing import Final

import msgspec

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.reader import Reader
from controlplane.translate.annotations.row import ANY_MSE, VENDOR, Annotation
from controlplane.translate.dialects import Dialect
from proxy.model.actions import Algorithm, HashKey, HashSource

MAX_WARMUP_S: Final = 3600
EWMA: Final = "ewma"
ALGORITHMS: Final = {
    "round_robin": Algorithm.ROUND_ROBIN,
    "least_conn": Algorithm.LEAST_CONNECTION,
    "random": Algorithm.RANDOM,
    EWMA: Algorithm.ROUND_ROBIN,
}

ALGORITHM: Final = Annotation(
    "load-balance",
    ANY_MSE,
    Dialect.MSE,
    "chooses the algorithm that finds an endpoint",
    "word",
    ", ".join(ALGORITHMS),
    "the less busy one of two",
    example="least_conn",
)
HASH_BY: Final = Annotation(
    "upstream-hash-by",
    ANY_MSE,
    Dialect.MSE,
    "sends requests with the same value of these variables to the same endpoint; wins over load-balance",
    "variables",
    "one or more of $request_uri, $uri, $host, $remote_addr, $http_<header>, $arg_<query parameter> and"
    " $cookie_<cookie>; text between them does not count",
    example="$http_x_user",
)
WARMUP: Final = Annotation(
    "warmup",
    VENDOR,
    Dialect.MSE,
    "is the slow start: the seconds over which the traffic of a new endpoint grows",
    "integer",
    f"an integer from 0 to {MAX_WARMUP_S}",
    "0",
    example="30",
)
ROWS: Final = (ALGORITHM, HASH_BY, WARMUP)

_SOURCES: Final = {
    "request_uri": HashSource.URI,
    "uri": HashSource.PATH,
    "document_uri": HashSource.PATH,
    "host": HashSource.HOST,
    "http_host": HashSource.HOST,
    "remote_addr": HashSource.CLIENT,
    "binary_remote_addr": HashSource.CLIENT,
}
_NAMED: Final = (
    (re.compile(r"http_([A-Za-z0-9_-]{1,256})"), HashSource.HEADER),
    (re.compile(r"arg_([A-Za-z0-9_.~-]{1,256})"), HashSource.QUERY),
    (re.compile(r"cookie_([A-Za-z0-9_.~-]{1,256})"), HashSource.COOKIE),
)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z0-9_.~-]+)\}|((?:arg|cookie|http)_[A-Za-z0-9_.~-]+|[A-Za-z0-9_]+))")
_MAX_PARTS: Final = 8


def apply(reader: Reader, draft: Draft) -> None:
    name = reader.choice(ALGORITHM, tuple(ALGORITHMS))
    if name is not None:
        draft.algorithm = ALGORITHMS[name]
    if name == EWMA and (given := reader.given(ALGORITHM)) is not None:
        note = "endpoints are taken in turns, as Higress does"
        reader.findings.add("FG0202", given.field, given.text, note=note)
    key = _hash_key(reader)
    if key is not None:
        reader.idle((ALGORITHM,), f"{HASH_BY.name} wins")
        draft.algorithm, draft.hash_key = Algorithm.HASH, key
    slow_start_s = reader.integer(WARMUP, 0, MAX_WARMUP_S)
    if draft.algorithm in (Algorithm.HASH, Algorithm.RANDOM):
        reader.idle((WARMUP,), f"endpoints of {draft.algorithm.value} cannot be warmed up")
    elif slow_start_s is not None:
        draft.slow_start_s = float(slow_start_s)


def _hash_key(reader: Reader) -> HashKey | None:
    given = reader.given(HASH_BY)
    if given is None:
        return None
    keys = [_key(match[1] or match[2]) for match in _VARIABLE.finditer(given.text)]
    known = [key for key in keys if key is not None]
    if len(known) < len(keys) or "$" in _VARIABLE.sub("", given.text) or not 0 < len(known) <= _MAX_PARTS:
        reader.reject(given, "is not made of variables to go by", HASH_BY.allowed)
        return None
    return msgspec.structs.replace(known[0], then=tuple(known[1:]))


def _key(variable: str) -> HashKey | None:
    source = _SOURCES.get(variable)
    if source is not None:
        return HashKey(source)
    for pattern, named in _NAMED:
        match = pattern.fullmatch(variable)
        if match is not None:
            # nginx writes "_" for the "-" of headers
            name = match[1].lower().replace("_", "-") if named is HashSource.HEADER else match[1]
            return HashKey(named, name)
    return None
