"""Variables as ingress-nginx has them in annotations, to those of our templates (proxy.policies.template)."""

import re
from typing import Final

TEMPLATES: Final = {
    "request_uri": "${request_uri}",
    "uri": "${path}",
    "document_uri": "${path}",
    "args": "${query}",
    "query_string": "${query}",
    "scheme": "${protocol}",
    "host": "${host}",
    "http_host": "${host}",
}
NAMES: Final = ", ".join(f"${name}" for name in TEMPLATES) + ", and $1 to $9 for groups of the rule's path"

# As nginx reads variables: a single digit is a whole name, also before other digits
VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_]\w*|[1-9])\}|([1-9])|([A-Za-z_]\w*))", re.ASCII)
_GROUP: Final = re.compile(r"\$\{?[1-9]")


class VariableProblem(ValueError):
    """The text has a variable that cannot be used; the message says which."""


def template_of(text: str) -> str:
    """Return the text as a template. Raises VariableProblem."""
    literal = VARIABLE.sub("", text)
    if "$" in literal:
        raise VariableProblem("has a $ that begins no variable")
    return VARIABLE.sub(_template, text)


def has_groups(text: str) -> bool:
    """Return whether a text, or its template, refers to the part of the path that the rule matched."""
    return _GROUP.search(text) is not None


def _template(match: re.Match[str]) -> str:
    name = match[1] or match[2] or match[3]
    if name.isdigit():
        return f"${{{name}}}"
    if name not in TEMPLATES:
        raise VariableProblem(f"has the variable ${name}, which is not known here")
    return TEMPLATES[name]
