"""The command as a subprocess, beside an admin API that runs in the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from controlplane.admin.server import AdminServer
from controlplane.admin.state import Source
from tests.support import command
from tests.support.admintoken import token_file


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


async def fleetgate(*args: str, stdin: str = "") -> Done:
    done = await asyncio.to_thread(command.fleetgate, *args, stdin=stdin)
    return Done(done.returncode, done.stdout, done.stderr)


@asynccontextmanager
async def admin(source: Source) -> AsyncIterator[str]:
    """An admin API; yields its address."""
    server = AdminServer("127.0.0.1", 0, ())
    await server.start(source, token_file())
    try:
        yield server.address
    finally:
        await server.stop()
