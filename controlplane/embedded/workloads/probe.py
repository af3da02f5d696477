"""Readiness probes of pods, as kubelet makes them."""

import asyncio

from controlplane.embedded.workloads.podspec import Probe


async def answers(address: str, port: int, probe: Probe) -> bool:
    """Say whether one probe request was answered with 2xx or 3xx within the probe's timeout."""
    try:
        async with asyncio.timeout(probe.timeout_s):
            return await _get(address, port, probe.path)
    except (OSError, TimeoutError):
        return False


async def _get(address: str, port: int, path: str) -> bool:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n".encode())
        line = await reader.readline()
    finally:
        writer.close()
        await asyncio.sleep(0)  # lets the loop close it, even if it ends next
    words = line.split()
    return len(words) >= 2 and words[1][:1] in (b"2", b"3")
