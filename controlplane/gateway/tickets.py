"""The secret that workers derive the keys of session tickets from: in memory only, another every 12 hours.

It is on no disk and on no other machine: whoever takes the machine cannot decrypt what was recorded before.
So replicas do not share it: a client that reaches another replica makes a full handshake there.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Final

from controlplane.system import children
from proxy.model.channel import TICKET_SECRET_BYTES

log = logging.getLogger(__name__)

ROTATION_S: Final = 12 * 3600.0
CHECK_S: Final = 30.0


class TicketSecrets:
    """Gives the workers a secret after the other, where their interpreter can use it."""

    def __init__(self, use: Callable[[bytes], None], rotation_s: float = ROTATION_S) -> None:
        self._use = use
        self._rotation_s = rotation_s

    async def run(self) -> None:
        if not await can_share():
            log.warning("session tickets are not shared by workers: this Python keeps TLS contexts elsewhere")
            await asyncio.Event().wait()
        while True:
            self._use(secrets.token_bytes(TICKET_SECRET_BYTES))
            await asyncio.sleep(self._rotation_s)


async def can_share() -> bool:
    """Whether workers can set the keys of tickets; a process that may crash tries it."""
    command = children.python("proxy.tls.tickets")
    process = await asyncio.create_subprocess_exec(
        *command, env=children.environment(), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(CHECK_S):
            return await process.wait() == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
