"""The page of memory that a worker shares with its supervisor: proof that the worker's event loop turns.

The control channel is no proof: a worker's messages wait there behind snapshots, endpoint changes and
counters. The page has one writer, one reader and no queue. Its file descriptor (a memfd) is inherited at
start; behind the page the same file holds the stack that a hanging worker writes on SIGQUIT.
"""

import struct
from typing import Final

PAGE_BYTES: Final = 4096
COUNTER: Final = struct.Struct("=Q")
"""At offset 0: turns of the event loop that the worker has noted; 0 before the loop runs."""

TURN_S: Final = 0.1
"""How often a worker notes that its loop turns."""
