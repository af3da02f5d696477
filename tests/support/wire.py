"""A raw client: bytes out, bytes in, with a deadline on everything."""

import asyncio
import socket
import ssl
import struct
from asyncio.trsock import TransportSocket
from typing import Self

DEADLINE_S = 10.0


class RawClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._data = b""

    @classmethod
    async def connect(
        cls, port: int, *, host: str = "127.0.0.1", source: str = "", tls: ssl.SSLContext | None = None,
        server_name: str = "",
    ) -> Self:  # fmt: skip
        """`source` is the address to come from; `server_name` the host that is asked for with `tls`."""
        local = (source, 0) if source else None
        name = server_name if tls is not None else None
        return cls(
            *await asyncio.open_connection(
                host, port, limit=1 << 24, local_addr=local, ssl=tls, server_hostname=name
            )
        )

    async def send(self, *pieces: bytes) -> None:
        """Send each piece in a segment of its own, as far as a socket allows."""
        try:
            for piece in pieces:
                self._writer.write(piece)
                await self._writer.drain()
                if len(pieces) > 1:
                    await asyncio.sleep(0)
        except ConnectionError:
            pass  # the gateway has refused and closed already; its answer tells

    def finish(self) -> None:
        """Half-close: nothing more will be sent."""
        try:
            self._writer.write_eof()
        except (OSError, RuntimeError):
            pass

    async def final_response(self) -> tuple[int, dict[str, str], bytes]:
        """Return the next response that is not an interim one."""
        while True:
            answer = await self.response()
            if answer[0] >= 200:
                return answer

    async def response(self, *, head: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Return the next response: status, fields (lower case), body. Raises EOFError when there is none."""
        async with asyncio.timeout(DEADLINE_S):
            while b"\r\n\r\n" not in self._data:
                await self._more()
            raw, self._data = self._data.split(b"\r\n\r\n", 1)
            lines = raw.split(b"\r\n")
            status = int(lines[0].split(b" ")[1])
            fields = {
                k.lower().decode(): v.strip().decode("latin-1")
                for k, _, v in (x.partition(b":") for x in lines[1:])
            }
            if head or status in (204, 304) or status < 200:
                return status, fields, b""
            return status, fields, await self._body(fields)

    async def exactly(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self._data) < count:
                await self._more()
        data, self._data = self._data[:count], self._data[count:]
        return data

    def reset(self) -> None:
        """Leave without a goodbye: RST instead of FIN."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    @property
    def socket(self) -> "TransportSocket":
        found: TransportSocket = self._writer.get_extra_info("socket")
        return found

    def certificate(self) -> bytes:
        """Return the certificate that the gateway has shown, as DER."""
        shown: bytes = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return shown

    @property
    def port(self) -> int:
        """Its own."""
        return int(self._writer.get_extra_info("sockname")[1])

    async def chunk(self) -> bytes:
        """Return the next chunk of a body, the head before it left out; b"" at the end."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if self._data.startswith(b"HTTP/") and b"\r\n\r\n" in self._data:
                    self._data = self._data.partition(b"\r\n\r\n")[2]
                line, _, rest = self._data.partition(b"\r\n")
                if line and not line.startswith(b"HTTP/") and len(rest) >= int(line, 16) + 2:
                    size = int(line, 16)
                    self._data = rest[size + 2 :]
                    return rest[:size]
                await self._more()

    async def until_closed(self) -> bytes:
        """Return everything up to the end of the connection."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                while True:
                    await self._more()
            except (EOFError, ConnectionError):
                data, self._data = self._data, b""
                return data

    async def silent_for(self, seconds: float) -> bool:
        """Whether nothing arrives within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._more()
        except TimeoutError:
            return True
        except (EOFError, ConnectionError):
            return False
        return False

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass

    async def _more(self) -> None:
        data = await self._reader.read(1 << 20)
        if not data:
            raise EOFError
        self._data += data

    async def _body(self, fields: dict[str, str]) -> bytes:
        if fields.get("transfer-encoding") == "chunked":
            return await self._chunks()
        length = int(fields["content-length"])
        while len(self._data) < length:
            await self._more()
        body, self._data = self._data[:length], self._data[length:]
        return body

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._data:
                await self._more()
            line, self._data = self._data.split(b"\r\n", 1)
            size = int(line, 16)
            while len(self._data) < size + 2:
                await self._more()
            body += self._data[:size]
            assert self._data[size : size + 2] == b"\r\n"
            self._data = self._data[size + 2 :]
            if size == 0:
                return body
