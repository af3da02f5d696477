"""Whole requests over a keep-alive connection, and who answered them."""

from collections import Counter

from tests.support.wire import RawClient


def request(
    path: str = "/", method: str = "GET", body: bytes = b"", host: str = "demo.example", extra: str = ""
) -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body or method in ("POST", "PUT") else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{extra}{length}\r\n".encode() + body


async def tally(port: int, count: int, raw: bytes | None = None) -> Counter[str]:
    """Send `count` requests over one connection; count the bodies that came back, failures by status."""
    answers: Counter[str] = Counter()
    client = await RawClient.connect(port)
    try:
        for _ in range(count):
            await client.send(raw or request())
            status, fields, body = await client.final_response()
            answers[body.decode() if status == 200 else str(status)] += 1
            if fields.get("connection") == "close":
                await client.close()
                client = await RawClient.connect(port)
    finally:
        await client.close()
    return answers
