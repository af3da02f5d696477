"""request-/response-header-control-*, x-forwarded-prefix: changes of the fields of requests and responses."""

from typing import Final

from controlplane.translate.annotations.draft import Draft
from controlplane.translate.annotations.nginx_variables import NAMES, VariableProblem, template_of
from controlplane.translate.annotations.reader import Given, Reader
from controlplane.translate.annotations.row import ANY_MSE, VENDOR, Annotation
from controlplane.translate.dialects import Dialect
from proxy.model.policies import HeaderChange, HeaderOperation, ValueSource
from proxy.validation.policies import of_change

_LINES: Final = "lines of a header and its value, as: x-stage gray"
_NAMES: Final = "a comma list of headers"
_QUOTES: Final = ('"', "'")


def _row(name: str, summary: str, type_: str, allowed: str, example: str) -> Annotation:
    return Annotation(name, VENDOR, Dialect.MSE, summary, type_, allowed, example=example)


def _rows(message: str) -> tuple[tuple[HeaderOperation, Annotation], ...]:
    lines = "lines of key and value"
    return (
        (
            HeaderOperation.REMOVE,
            _row(
                f"{message}-header-control-remove",
                f"takes these headers out of the {message}",
                "comma list",
                _NAMES,
                "x-stage",
            ),
        ),
        (
            HeaderOperation.SET,
            _row(
                f"{message}-header-control-update",
                f"gives the {message} these headers instead of those of the same name",
                lines,
                _LINES,
                "x-stage gray",
            ),
        ),
        (
            HeaderOperation.ADD,
            _row(
                f"{message}-header-control-add",
                f"gives the {message} these headers besides its own",
                lines,
                _LINES,
                "x-stage gray",
            ),
        ),
    )


REQUEST: Final = _rows("request")
RESPONSE: Final = _rows("response")
PREFIX: Final = Annotation(
    "x-forwarded-prefix",
    ANY_MSE,
    Dialect.MSE,
    "tells the endpoints in X-Forwarded-Prefix which path was cut off",
    "path",
    f"printable characters; variables are {NAMES}",
    example="/shop",
)
ROWS: Final = (*(row for _, row in REQUEST), *(row for _, row in RESPONSE), PREFIX)


def apply(reader: Reader, draft: Draft) -> None:
    for operation, row in REQUEST:
        draft.request_headers += _changes(operation, row, reader)
    for operation, row in RESPONSE:
        draft.response_headers += _changes(operation, row, reader)
    given = reader.given(PREFIX)
    if given is not None and reader.text(PREFIX) is not None:
        try:
            change = _prefix(given.text)
            if not _reject(given, PREFIX, change, reader):
                draft.request_headers.append(change)
        except VariableProblem as problem:
            reader.reject(given, problem, PREFIX.allowed)


def _prefix(text: str) -> HeaderChange:
    """Return the change that adds the prefix. Raises VariableProblem."""
    source = ValueSource.TEMPLATE if "$" in text else ValueSource.LITERAL
    return HeaderChange(HeaderOperation.SET, "X-Forwarded-Prefix", template_of(text), source)


def _reject(given: Given, row: Annotation, change: HeaderChange, reader: Reader) -> bool:
    """Report the parts of a change that a worker cannot use; return whether there are any."""
    problems = list(of_change(change))
    for found in problems:
        reader.reject(given, f"has {found.value!r}, which {found.problem}", f"{row.allowed}; {found.allowed}")
    return bool(problems)


def _changes(operation: HeaderOperation, row: Annotation, reader: Reader) -> list[HeaderChange]:
    given = reader.given(row)
    if given is None:
        return []
    if operation is HeaderOperation.REMOVE:
        pairs = [(name, "") for name in reader.items(row) or ()]
    else:
        pairs = _pairs(given, row, reader)
    changes: list[HeaderChange] = []
    for name, value in pairs:
        change = HeaderChange(operation, name, value)
        if not _reject(given, row, change, reader):
            changes.append(change)
    return changes


def _pairs(given: Given, row: Annotation, reader: Reader) -> list[tuple[str, str]]:
    if not given.text:
        reader.reject(given, "names no header", row.allowed)
    pairs: list[tuple[str, str]] = []
    for line in filter(None, given.text.splitlines()):
        name, *rest = line.split(maxsplit=1)
        if rest:
            pairs.append((_unquoted(name), _unquoted(rest[0])))
        else:
            reader.reject(given, f"has the line {line!r}, which has no value", row.allowed)
    return pairs


def _unquoted(text: str) -> str:
    """Return the text without quotes around it, as Higress reads it."""
    quoted = len(text) >= 2 and text[0] in _QUOTES and text[-1] == text[0]
    return text[1:-1] if quoted else text
