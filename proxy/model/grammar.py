"""Grammars of the texts in a snapshot that end up in messages."""

import re
from typing import Final

HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z]{1,256}")
"""RFC 9110 §5.1 without the underscore: see proxy.http.grammar."""
FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]{0,4096}")  # RFC 9110 §5.5
TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")  # RFC 9110 §5.6.2
COOKIE_NAME: Final = re.compile(r"(?!\$)[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
"""RFC 6265 §4.1.1; names with $ were attributes in RFC 2965."""
COOKIE_PATH: Final = re.compile(r"/[!-+\--:<-~]*")  # without ';' and ',', which end it
HOST: Final = re.compile(r"([A-Za-z0-9\-._~]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{0,5}))?")
"""RFC 9112 §3.2, reduced to names of servers: letters, digits, "-._~" or an IP literal, and a port."""
PORT: Final = re.compile(r"[0-9]{1,5}")
CONTENT_TYPE: Final = re.compile(r"[!-~][\x20-~]{0,127}")
ORIGIN: Final = re.compile(r"\*|null|[a-zA-Z][a-zA-Z0-9+.*-]*://[!-+\--.0-~]+|[!-+\--.0-9;-~]+(?::[0-9*]+)?")
"""RFC 6454 §6.1, with '*' for any run of characters; without a scheme it is none, and harmless."""

FRAMING: Final = frozenset(
    ("cdn-loop", "connection", "content-length", "host", "http2-settings", "keep-alive", "proxy-connection",
     "te", "trailer", "transfer-encoding", "upgrade")
)  # fmt: skip
"""Headers that say where a message ends, how its connection goes on, and which host gets it."""

REDIRECT_STATUSES: Final = (301, 302, 303, 307, 308)
ANSWER_STATUSES: Final = (200, 599)  # of fixed responses, lowest and highest

VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
VARIABLES: Final = ("protocol", "host", "port", "path", "query", "request_uri")
"""Variables of templates, besides ${1} to ${9}."""


def is_variable(name: str) -> bool:
    return name in VARIABLES or (len(name) == 1 and name in "123456789")
