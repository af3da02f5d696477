"""Sizes that bound the memory which one peer can make the gateway use (edge values of nginx and Envoy)."""

from typing import Final

MAX_LINE_BYTES: Final = 8192  # RFC 9112 §3 asks for at least 8000
MAX_HEAD_BYTES: Final = 32768
MAX_FIELDS: Final = 100
MAX_CONTENT_LENGTH: Final = (
    1 << 53
)  # beyond what any peer counts exactly; max-body-bytes is a limit of its own
MAX_CHUNK_LINE_BYTES: Final = 256
MAX_CHUNK_EXTENSION_BYTES: Final = 4096  # over a whole message: CVE-2023-39326
MAX_TRAILER_BYTES: Final = 8192
