"""The command as a subprocess, beside an admin API that runs in the test."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from controlplane.admin.server import AdminServer
from controlplane.admin.state import Source
from tests.support.admintoken import token_file


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


async def fleetgate(*args: str, stdin: str = "") -> Done:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controlplane.cli.main", *args,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def admin(source: Source) -> AsyncIterator[str]:
    """An admin API; yields its address."""
    server = AdminServer("127.0.0.1", 0, ())
    await server.start(source, token_file())
    try:
        yield server.address
    finally:
        await server.stop()
