"""An answer of an endpoint that says what the endpoint was asked."""

import json
from email.utils import formatdate

import h11

from tests.support.origin import Answer, Connection


def echo(**identity: str) -> Answer:
    """Return an answer of JSON: the request as it arrived, and `identity`. Like Go's it has no Server."""

    def answer(connection: Connection, request: h11.Request) -> bytes:
        seen = {
            "method": request.method.decode(),
            "path": request.target.decode(),
            "proto": f"HTTP/{request.http_version.decode()}",
            "headers": {name.decode(): value.decode() for name, value in request.headers},
            **identity,
        }
        body = json.dumps(seen).encode()
        return (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (formatdate(usegmt=True).encode(), len(body), b"" if request.method == b"HEAD" else body)
        )

    return answer
