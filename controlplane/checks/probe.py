"""One check of one endpoint, on a connection of its own: accepting one is part of being able to serve.

Sockets and callbacks of the loop, without transports: 95 µs a check where transports take 165 (measured on
loopback, 64 at a time), and the control plane checks thousands of endpoints beside its other work.
"""

import asyncio
import errno
import socket
from typing import Final

from controlplane.checks.encrypted import ask
from controlplane.checks.failures import CLOSED, failed, timed_out
from controlplane.checks.http import MAX_HEAD, is_head_over, judged, request
from controlplane.checks.verdict import PASSED, Result
from proxy.model.snapshot import HealthCheck

LINGER_S: Final = 1.0
"""Seconds that a response may go on after its status: programs log clients that end sooner as aborted."""

_UNDER_WAY: Final = frozenset((0, errno.EINPROGRESS))


class Prober:
    """Makes checks; `close` ends those that are under way."""

    def __init__(self) -> None:
        self._lingering: set[_Exchange] = set()

    async def probe(self, address: str, port: int, check: HealthCheck) -> Result:
        """Return the result of one check. A failure to connect or to answer is a result, not an exception."""
        if check.protocol == "HTTPS":
            return await ask(address, port, check)
        exchange = _Exchange(address, port, check, self._lingering)
        try:
            exchange.start()
            return await exchange.result
        except OSError as error:
            return failed(error.errno or 0)
        finally:
            if exchange not in self._lingering:
                exchange.close()

    def close(self) -> None:
        for exchange in list(self._lingering):
            exchange.close()


class _Exchange:
    """A connection; `result` is there once it is open (TCP) or the status has come (HTTP).

    `start` raises OSError when there can be no socket. While the rest of a response is still coming, it is
    among `lingering`.
    """

    __slots__ = (
        "_address", "_check", "_deadline", "_lingering", "_loop", "_port", "_received", "_size", "_socket",
        "_timer", "result",
    )  # fmt: skip

    def __init__(self, address: str, port: int, check: HealthCheck, lingering: "set[_Exchange]") -> None:
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[Result] = self._loop.create_future()
        self._lingering = lingering
        self._address = address
        self._port = port
        self._check = check
        self._received = b""
        self._size = 0
        self._socket: socket.socket | None = None
        self._deadline = self._loop.time() + check.timeout_s
        self._timer = self._loop.call_at(self._deadline, self._on_timeout)

    def start(self) -> None:
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        code = self._socket.connect_ex((self._address, self._port))
        if code in _UNDER_WAY:
            self._loop.add_writer(self._socket, self._on_connected)
        else:
            self._settle(failed(code))

    def close(self) -> None:
        self._lingering.discard(self)
        self._timer.cancel()
        if self._socket is not None:
            self._loop.remove_writer(self._socket)
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _on_connected(self) -> None:
        assert self._socket is not None
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._settle(failed(code))
        elif self._check.protocol == "TCP":
            self._settle(PASSED)
        else:
            self._loop.remove_writer(self._socket)
            self._loop.add_reader(self._socket, self._on_readable)
            try:
                self._socket.send(request(self._check, self._address))  # less than any send buffer
            except OSError:
                self._settle(CLOSED)

    def _on_readable(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._size += len(data)
        self._received += data[: MAX_HEAD - len(self._received)]
        if not self.result.done():
            result = judged(self._received, self._check) if data else CLOSED
            if result is None:
                return
            self._settle(result)
        if not data or self._size >= MAX_HEAD or self._is_complete():
            self.close()
        elif self not in self._lingering:
            self._lingering.add(self)
            self._timer.cancel()
            self._timer = self._loop.call_later(LINGER_S, self.close)

    def _is_complete(self) -> bool:
        return self._check.method == "HEAD" and is_head_over(self._received)

    def _on_timeout(self) -> None:
        self._settle(timed_out(self._check.timeout_s, self._loop.time() - self._deadline))

    def _settle(self, result: Result) -> None:
        if not self.result.done():
            self.result.set_result(result)
