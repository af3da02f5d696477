"""The strict regular expressions of a message head. Possessive quantifiers: nothing can backtrack.

Field names exclude the underscore: CGI and WSGI servers fold `X_Forwarded_For` and
`X-Forwarded-For` into one name, so an underscore name is a way around the header rules.
"""

import re
from typing import Final

from proxy.model import grammar

# RFC 9112 §3: method SP request-target SP HTTP-version. A target has no control characters, no space, no
# fragment and no octet above 0x7e; no backslash before the query (some servers read it as a slash). In a
# query browsers send it as it is, and `"<>^`{|}` anywhere: nginx and HAProxy pass these, so we do.
REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) ([!\"$->@-\[\]-~]*+(?:\?[!\"$-~]*+)?+)(?<! ) HTTP/([0-9])\.([0-9])"
)

COMMON_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++) (/[!\"$-:<->@-\[\]-~]*+)(\?[!\"$-~]*+)?+ HTTP/1\.1"
)
"""The form of nearly all lines: a path without parameters, perhaps a query; a subset of REQUEST_LINE."""
END_OF_REQUEST_LINE: Final = re.compile(rb"\?[!\"$-~]*+ HTTP/1\.1")

# RFC 9110 §5.1, §5.5; RFC 9112 §5: no space before the colon, no folding, no bare CR or LF.
# Name, separator, and value with the white space behind it.
FIELD_LINE: Final = re.compile(rb"([!#$%&'*+\-.^`|~0-9A-Za-z]++)(:[ \t]*+)([\t\x20-\x7e\x80-\xff]*+)")
FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^`|~0-9A-Za-z]++")
FIELD_VALUE: Final = re.compile(rb"(?![\t ])[\t\x20-\x7e\x80-\xff]*+(?<![\t ])")
"""A value with no white space around it, as RFC 9113 §8.2.1 asks for."""
FIELD_VALUES: Final = re.compile(rb"(?:[\t\x20-\x7e\x80-\xff]*+\r\n)*+")
"""Whole lines whose names have been looked at."""
FIELD: Final = re.compile(rb"([^:\r\n]++):([^\r\n]*+)\r\n")

# RFC 9110 §5.6.1, empty elements included
_ELEMENT: Final = rb"[ \t]*+(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++[ \t]*+)?+"
TOKEN_LIST: Final = re.compile(_ELEMENT + rb"(?:," + _ELEMENT + rb")*+")

# RFC 9112 §7: other codings, in lower case, and chunked once, as the last: where the body ends is certain
_CODING: Final = rb"(?!chunked[ \t]*+,)[!#$%&'*+\-.^_`|~0-9a-z]++"
CODED: Final = re.compile(rb"(?:" + _CODING + rb"[ \t]*+,[ \t]*+)++chunked")

DIGITS: Final = re.compile(rb"[0-9]{1,19}")

HOST: Final = re.compile(grammar.HOST.pattern.encode())

# RFC 9112 §4. The reason phrase may be missing together with its space: servers do that.
STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?+")

# RFC 9112 §5.1: a space before the colon is removed from responses, never accepted in requests.
SPACE_BEFORE_COLON: Final = re.compile(rb"^([!#$%&'*+\-.^`|~0-9A-Za-z]++)[ \t]++:", re.MULTILINE)
RESPONSE_FIELD_LINES: Final = re.compile(
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+"
)
