"""Keys of session tickets, so that a client resumes its session with whichever worker it reaches.

Each worker encrypts tickets with keys of its own otherwise, and of two workers every second resumption is a
full handshake. Python has no API for these keys. OpenSSL has, and ctypes finds OpenSSL's context where
Python's object has its pointer. Whether this interpreter lays the object out like that, a process of its own
finds out first, because it may end in a crash: `python -m proxy.tls.tickets`.
"""

import _ssl
import ctypes
import hmac
import ssl
import sys
from typing import Final

from proxy.model.tls import HostTls

KEY_BYTES: Final = 80  # name, key of the MAC, key of the cipher (openssl/ssl3.h)

_GET: Final = 58  # SSL_CTRL_GET_TLSEXT_TICKET_KEYS
_SET: Final = 59
_POINTER_AT: Final = 16  # of SSL_CTX in Python's object, behind the reference count and the type
_HASH_BYTES: Final = 32


def keys_for(secret: bytes, host: HostTls, *, http2: bool) -> bytes:
    """Return the keys for one host. Hosts that demand other things of their clients never share keys.

    A ticket would else carry what one host has checked, such as a client's certificate, to another host
    (CVE-2025-23419). The keys are the output of HKDF-Expand (RFC 5869 §2.3).
    """
    demands = (
        host.host,
        host.owner,
        host.client_ca,
        host.min_version,
        host.max_version,
        *host.ciphers,
        http2,
    )
    info = repr(demands).encode()
    blocks, block = b"", b""
    for number in range(1, -(-KEY_BYTES // _HASH_BYTES) + 1):
        block = hmac.digest(secret, block + info + bytes((number,)), "sha256")
        blocks += block
    return blocks[:KEY_BYTES]


def set_keys(context: ssl.SSLContext, keys: bytes) -> None:
    """Let a context encrypt its tickets with these keys. Only where `are_settable` has said so."""
    _control(context, _SET, ctypes.create_string_buffer(keys, KEY_BYTES))


def are_settable() -> bool:
    """Whether keys that are set are the keys of the context. May crash the process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    keys = bytes(range(KEY_BYTES))
    found = ctypes.create_string_buffer(KEY_BYTES)
    set_keys(context, keys)
    return _control(context, _GET, found) == 1 and found.raw == keys


def _control(context: ssl.SSLContext, command: int, buffer: "ctypes.Array[ctypes.c_char]") -> int:
    """Call SSL_CTX_ctrl, found by way of the module that is linked to it."""
    control = ctypes.CDLL(_ssl.__file__).SSL_CTX_ctrl
    control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)
    control.restype = ctypes.c_long
    pointer = ctypes.c_void_p.from_address(id(context) + _POINTER_AT)
    return int(control(pointer, command, len(buffer), buffer))


if __name__ == "__main__":
    sys.exit(0 if are_settable() else 1)
