"""Rendezvous hashing: every candidate has a score for a key, and the highest score wins.

When a candidate leaves, only its own keys move, each to its second best; a new candidate takes only the keys
that it wins. Scores come from names alone, so all workers and replicas agree without a message.

Numbers have 30 bits: compiled code multiplies such numbers fast.
"""

from hashlib import blake2b
from math import log
from typing import Final
from zlib import crc32

_MASK: Final = 0x3FFFFFFF
_ID_BYTES: Final = 8


def opaque_id(*names: str) -> bytes:
    """Return 16 hexadecimal digits that stand for these names, and do not tell them."""
    text = b"".join([b"%d:%b" % (len(name), name) for name in [name.encode() for name in names]])
    return blake2b(text, digest_size=_ID_BYTES, person=b"fleetgate").hexdigest().encode()


def seed_of(identity: bytes) -> int:
    """Return the number by which a candidate is scored; `identity` is an opaque id."""
    return int(identity[:8], 16) & _MASK


def number_of(key: bytes) -> int:
    """Return the number by which a key is scored."""
    return crc32(key) & _MASK


def score(key: int, seed: int) -> int:
    """Return a number of 30 bits, which is as good as random for each pair."""
    mixed = key ^ seed
    mixed ^= mixed >> 15
    mixed = mixed * 0x2C1B3C6D & _MASK
    mixed ^= mixed >> 13
    mixed = mixed * 0x297A2D39 & _MASK
    return mixed ^ mixed >> 15


def best(key: int, seeds: list[int], weights: list[int]) -> int:
    """Return the index of the winner: each wins its weight's part of all keys. There is at least one."""
    winner, highest = 0, -1.0
    for index, seed in enumerate(seeds):
        # The logarithm of a uniform number is exponential, and the smallest of exponentials falls by its rate
        reached = -weights[index] / log((score(key, seed) + 1) / (_MASK + 2))
        if reached > highest:
            winner, highest = index, reached
    return winner


def best_of_equals(key: int, seeds: list[int]) -> int:
    """Return the winner as `best` does for equal weights, without logarithms."""
    winner, highest = 0, -1
    for index, seed in enumerate(seeds):
        reached = score(key, seed)
        if reached > highest:
            winner, highest = index, reached
    return winner
