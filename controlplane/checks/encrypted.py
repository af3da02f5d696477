"""A check by HTTPS. Certificates are not verified, as kubelet and ALB do not: pods sign their own.

It uses streams: beside the handshake their cost does not matter.
"""

import asyncio
import ssl
from typing import Final

from controlplane.checks.failures import CLOSED, failed, timed_out
from controlplane.checks.http import MAX_HEAD, judged, request
from controlplane.checks.verdict import CheckOutcome, Result
from proxy.model.snapshot import HealthCheck


def _context() -> ssl.SSLContext:
    # The default context would load the authorities of the machine, which takes 50 ms and serves nothing here
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


_CONTEXT: Final = _context()


async def ask(address: str, port: int, check: HealthCheck) -> Result:
    """Return the result of one check. A failure to connect or to answer is a result, not an exception."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + check.timeout_s
    try:
        async with asyncio.timeout_at(deadline):
            return await _ask(address, port, check)
    except TimeoutError as error:
        if error.errno is not None:  # the kernel's, not ours
            return failed(error.errno)
        return timed_out(check.timeout_s, loop.time() - deadline)
    except ssl.SSLError as error:
        reason = (error.reason or "no TLS").replace("_", " ").lower()
        return Result(CheckOutcome.MALFORMED, f"no TLS handshake: {reason}")
    except ConnectionResetError:
        return CLOSED
    except OSError as error:
        return failed(error.errno or 0)


async def _ask(address: str, port: int, check: HealthCheck) -> Result:
    # An address is never sent as a server name (RFC 6066 section 3)
    name = check.host.rpartition(":")[0] or check.host or address
    reader, writer = await asyncio.open_connection(
        address, port, ssl=_CONTEXT, server_hostname=name, ssl_handshake_timeout=check.timeout_s + 1.0
    )
    try:
        writer.write(request(check, address))
        received = b""
        while True:
            data = await reader.read(MAX_HEAD)
            received += data
            result = judged(received, check) if data else CLOSED
            if result is not None:
                return result
    finally:
        writer.transport.abort()
