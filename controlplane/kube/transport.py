"""The edges of an HTTP exchange with an API server: sockets, bodies, and the names of failures."""

import os
import socket
from typing import Any

import aiohttp

from controlplane.kube.errors import ApiError, StreamBroken, StreamSilent
from controlplane.kube.watch import as_error

MAX_BODY_BYTES = 256 << 20
"""A list beyond this is refused: one member must not be able to exhaust the memory of the gateway."""

MAX_ERROR_BYTES = 64 << 10

FAILURES = (aiohttp.ClientError, OSError, ValueError)
"""The errors of an exchange: OSError covers timeouts and TLS, ValueError texts that are no address."""


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """Return the whole body. Raises ClientPayloadError beyond MAX_BODY_BYTES."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {MAX_BODY_BYTES >> 20} MiB")
    return bytes(body)


async def read_error(response: aiohttp.ClientResponse, server: str) -> ApiError:
    """Return the ApiError that an unsuccessful answer stands for."""
    wait = response.headers.get("Retry-After", "")
    retry_after = float(wait) if wait.isascii() and wait.isdigit() else 0.0
    return as_error(response.status, await response.content.read(MAX_ERROR_BYTES), server, retry_after)


class WatchStream:
    """The bytes of an open watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def read(self) -> bytes:
        """Return the next bytes as they come, b"" at the end the server meant.

        Raises StreamSilent when there are none for too long, StreamBroken when the connection ends.
        """
        try:
            return await self._response.content.readany()
        except TimeoutError as error:
            raise StreamSilent("the watch was silent for too long") from error
        except FAILURES as error:
            raise StreamBroken(f"the watch was cut off: {cause_of(error)}") from error

    def abort(self) -> None:
        """Make the read that waits fail: the connection is known to be dead."""
        self._response.close()


def cause_of(error: Exception) -> str:
    """Return the text of a failure without the address, which the caller adds."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        detail = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        return f"its certificate is not trusted ({detail}); see certificate-authority-data"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _system_cause(error.os_error)
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ValueError):  # aiohttp.InvalidURL among them; its text may hold a proxy's password
        return "its address, its proxy or its server name is not valid"
    return str(error) or type(error).__name__


def _system_cause(error: OSError) -> str:
    # asyncio puts the address into strerror; the names of getaddrinfo's errors are only there.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()


def keepalive_socket(address: Any) -> socket.socket:
    """A socket that notices a silent peer: keep-alive after 30 s, 3 × 10 s; unacknowledged data 60 s."""
    family, kind, protocol, _, _ = address
    connection = socket.socket(family, kind, protocol)
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("KEEPIDLE", 30), ("KEEPINTVL", 10), ("KEEPCNT", 3), ("USER_TIMEOUT", 60_000)):
        option = getattr(socket, f"TCP_{name}", None)
        if option is not None:  # not every system has them all
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
    return connection
