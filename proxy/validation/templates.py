"""Checks of texts with ${variables}: whether their results can be used, as far as that is known without a
request.
"""

from typing import Final

from proxy.model.grammar import HOST, VARIABLE, VARIABLES, is_variable
from proxy.validation.problem import Problem, Problems

_KNOWN: Final = f"{', '.join(f'${{{name}}}' for name in VARIABLES)}, ${{1}} to ${{9}}"
_HOST_ALLOWED: Final = "a host name or address, a port from 1 to 65535 behind it or none; variables in it"
_PATH_ALLOWED: Final = "a path without .. above its root and without %00"
_SAMPLES: Final = {
    "protocol": "http",
    "host": "a.example",
    "port": "80",
    "path": "/",
    "query": "q",
    "request_uri": "/",
}
"""Values that variables may have. A path begins with a slash, so it is never a part of a host."""


def is_static(text: str) -> bool:
    return VARIABLE.search(text) is None


def of_template(part: str, text: str) -> Problems:
    for name in VARIABLE.findall(text):
        if not is_variable(name):
            yield Problem(part, text, f"has the variable ${{{name}}}", _KNOWN)


def of_host(part: str, text: str) -> Problems:
    """A template of a Host or of the authority of a URL."""
    unknown = list(of_template(part, text))
    yield from unknown
    sample = VARIABLE.sub(lambda variable: _SAMPLES.get(variable[1], "a"), text)
    found = HOST.fullmatch(sample)
    if not unknown and (found is None or not _is_port(found[2])):
        yield Problem(part, text, "is not a host name", _HOST_ALLOWED)


def _is_port(text: str | None) -> bool:
    return text is None or (text.isdigit() and 1 <= int(text) <= 65535)


def of_path(part: str, text: str) -> Problems:
    """A template of a path for endpoints: its literal beginning may make every result unusable."""
    yield from of_template(part, text)
    variable = VARIABLE.search(text)
    literal = text if variable is None else text[: text.rfind("/", 0, variable.start()) + 1]
    if _climbs(literal):
        yield Problem(part, text, "climbs above the root", _PATH_ALLOWED)
    if "%00" in VARIABLE.sub("", text):
        yield Problem(part, text, "has an encoded NUL", _PATH_ALLOWED)


def _climbs(path: str) -> bool:
    """Whether RFC 3986 §5.2.4 finds more `..` than segments before them."""
    depth = 0
    for segment in path.removeprefix("/").replace("%2e", ".").replace("%2E", ".").split("/"):
        depth += -1 if segment == ".." else 0 if segment == "." else 1
        if depth < 0:
            return True
    return False
