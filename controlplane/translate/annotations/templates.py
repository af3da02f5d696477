"""Variables in redirects and rewrites, checked where they are written."""

import re
from typing import Final

ALB_VARIABLES: Final = ("${protocol}", "${host}", "${port}", "${path}", "${query}", "${1}", "${2}", "${3}")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_TEXT = re.compile(r"[\x21-\x7e]*")


def template_problem(value: object, variables: tuple[str, ...]) -> str:
    """Return the mistake in a template, in which each variable may stand once; "" without one."""
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        return "is not a text of printable ASCII characters without spaces"
    named = [match.group(0) for match in _VARIABLE.finditer(value)]
    unknown = [name for name in named if name not in variables]
    if unknown:
        return f"has the unknown variable {unknown[0]}"
    if len(named) != len(set(named)):
        return "has a variable twice"
    if "${" in _VARIABLE.sub("", value):
        return "has a ${ that is not closed"
    return ""
