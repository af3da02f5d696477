"""Packets of a proxy to the endpoints, seen on the wire, whether received or not. Needs root.

    python -m loadtest.drills.wire PORT...

Prints a line for every connection attempt and every request head, when it is sent for the first time:
`time port kind id`, the time of the monotonic clock in seconds, the kind SYN, GET or POST. A first, empty
line appears when the program listens. The program runs until it is terminated.
"""

import ctypes
import os
import re
import signal
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass
from time import CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime
from typing import Final

from loadtest.drills.origin import HEALTH

SYN: Final = "SYN"
SNAP_BYTES: Final = 256
"""Bytes kept of a packet: headers and the beginning of a request head."""
BUFFER_BYTES: Final = 8 << 20
_ALL: Final = socket.htons(3)  # ETH_P_ALL: other protocols do not get outgoing packets
_TIMESTAMP: Final = 35  # SO_TIMESTAMPNS
_ATTACH_FILTER: Final = 26  # SO_ATTACH_FILTER
_PACKET_TYPE: Final = 0xFFFFF004  # SKF_AD_OFF + SKF_AD_PKTTYPE
_STEP: Final = struct.Struct("@HBBI")
_TIME: Final = struct.Struct("@qq")
_HEAD: Final = re.compile(rb"(GET|POST) /svc1/([^ ?]+)")
_SYN: Final = 0x02


@dataclass(frozen=True, slots=True)
class Sent:
    """A SYN or a request that went towards an endpoint. `identity` is empty for a SYN."""

    time: float
    port: int
    kind: str
    identity: str


def parse(text: str) -> list[Sent]:
    found = []
    for line in text.split("\n")[1:-1]:  # the first one, which is empty, says that it listens
        time, port, kind, identity = line.split(" ")
        found.append(Sent(float(time), int(port), kind, identity))
    return found


class Stream:
    """Tells bytes that are sent for the first time from retransmitted ones."""

    def __init__(self) -> None:
        self._sent: dict[tuple[bytes, bytes], int] = {}  # of a connection: the byte to be sent next

    def first(self, packet: bytes) -> tuple[int, str, str] | None:
        """Return (port, kind, id) of an IPv4 packet that begins a connection or a request."""
        header = (packet[0] & 15) * 4
        total = int.from_bytes(packet[2:4], "big")
        segment = packet[header:]
        port = int.from_bytes(segment[2:4], "big")
        sequence = int.from_bytes(segment[4:8], "big")
        offset, flags = (segment[12] >> 4) * 4, segment[13]
        key = (packet[12:20], segment[:4])
        if flags & _SYN:
            return self._on_syn(key, port, sequence)
        length = total - header - offset
        head = _HEAD.match(segment, offset)
        if length == 0 or not self._is_new(key, sequence, length) or head is None or head[2] == HEALTH:
            return None
        return port, head[1].decode(), head[2].decode()

    def _on_syn(self, key: tuple[bytes, bytes], port: int, sequence: int) -> tuple[int, str, str] | None:
        following = (sequence + 1) & 0xFFFFFFFF
        if self._sent.get(key) == following:
            return None
        self._sent[key] = following
        return port, SYN, ""

    def _is_new(self, key: tuple[bytes, bytes], sequence: int, length: int) -> bool:
        expected = self._sent.get(key, sequence)
        if (sequence - expected) & 0x80000000:  # the segment begins before bytes that were sent already
            return False
        self._sent[key] = (sequence + length) & 0xFFFFFFFF
        return True


def open_tap(ports: list[int]) -> socket.socket:
    """Return a socket that gets the beginnings of all packets sent to the ports. Raises PermissionError."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, _ALL)
    tap.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    program = ctypes.create_string_buffer(bpf_program(ports))
    count = len(program) // _STEP.size
    tap.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", count, ctypes.addressof(program)))
    _drop_unfiltered(tap)
    return tap


def _drop_unfiltered(tap: socket.socket) -> None:
    tap.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            tap.recv(1)
    tap.setblocking(True)


def bpf_program(ports: list[int]) -> bytes:
    """Return a filter that accepts outgoing TCP over IPv4 to one of the ports."""
    reject = 9 + len(ports)

    def unless(step: int, value: int) -> tuple[int, int, int, int]:
        return (0x15, 0, reject - step - 1, value)

    steps = [
        (0x30, 0, 0, _PACKET_TYPE),
        unless(1, socket.PACKET_OUTGOING),
        (0x30, 0, 0, 0),
        (0x54, 0, 0, 0xF0),  # the version
        unless(4, 0x40),
        (0x30, 0, 0, 9),  # the protocol
        unless(6, socket.IPPROTO_TCP),
        (0xB1, 0, 0, 0),  # the length of the IP header
        (0x48, 0, 0, 2),  # the port behind it
        *((0x15, len(ports) - number, 0, port) for number, port in enumerate(ports)),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, SNAP_BYTES),
    ]
    return b"".join(_STEP.pack(*step) for step in steps)


def _sent_at(ancillary: list[tuple[int, int, bytes]], offset_s: float) -> float:
    seconds, nanoseconds = _TIME.unpack(ancillary[0][2])
    at: float = seconds - offset_s + nanoseconds / 1e9
    return at


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # every line has been written
    tap = open_tap([int(port) for port in sys.argv[1:]])
    offset_s = clock_gettime(CLOCK_REALTIME) - clock_gettime(CLOCK_MONOTONIC)
    stream = Stream()
    os.write(1, b"\n")
    while True:
        packet, ancillary, _, _ = tap.recvmsg(SNAP_BYTES, socket.CMSG_SPACE(_TIME.size))
        found = stream.first(packet)
        if found is not None:
            port, kind, identity = found
            os.write(1, f"{_sent_at(ancillary, offset_s):.6f} {port} {kind} {identity}\n".encode())


if __name__ == "__main__":
    main()
