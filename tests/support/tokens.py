"""Bodies that say whose they are in every line, and a client that keeps every byte it gets."""

import re

from tests.support.wire import RawClient


def token(identity: str) -> bytes:
    """What the bodies of a request and of its answer consist of."""
    return b"#%b#\n" % identity.encode()


def strangers(came: bytes, *own: str) -> set[str]:
    """Return the ids in `came`, whole or cut off, that are not among `own`."""
    return {found.decode() for found in re.findall(rb"#(\w+)#", came)} - set(own)


class Marked(RawClient):
    """Keeps everything that came since `mark`, of responses that were cut, too."""

    came = b""

    def mark(self) -> None:
        self.came = self._data

    async def send(self, *pieces: bytes) -> None:
        try:
            await super().send(*pieces)
        except RuntimeError:
            pass  # uvloop's word for a connection that is closed

    async def _more(self) -> None:
        before = len(self._data)
        await super()._more()
        self.came += self._data[before:]
