"""Whether the data plane is compiled; `python -m proxy.build` prints it."""

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import Final

COMPILED: Final = "compiled"
PURE: Final = "pure"
_ON_EVERY_REQUEST: Final = "proxy.request.exchange"


def dataplane() -> str:
    """Return "compiled" or "pure": the code that an interpreter with this sys.path runs for every request."""
    spec = find_spec(_ON_EVERY_REQUEST)
    origin = spec.origin if spec is not None else None
    return COMPILED if origin is not None and origin.endswith(tuple(EXTENSION_SUFFIXES)) else PURE


if __name__ == "__main__":
    print(dataplane())  # noqa: T201
