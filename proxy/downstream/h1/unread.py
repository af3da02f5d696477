"""The end of a request that is refused without a look at it."""

import re
from typing import Final

_HEAD: Final = re.compile(rb"GET [!-~]++ HTTP/1\.1\r\n(?:[!-~][^\r\n]*+\r\n)++\r\n")
_FRAMING: Final = re.compile(rb"\n(?:content-length|transfer-encoding|connection:(?! *keep-alive\r))", re.I)


def ends_with_head(data: bytes) -> bool:
    """Whether `data` is the head of one GET and no body follows, beyond any doubt.

    Only then can the connection go on after an answer that was given without a look at the request.
    """
    return _HEAD.fullmatch(data) is not None and _FRAMING.search(data) is None
