"""Kinds of requests: those of one route with the same method and the same leading segments of the path.

The history of a kind tells requests that are slow by nature from stuck ones. A segment that looks like an
identifier counts as any other identifier. A route with more kinds than MOST_KINDS divides its requests by
fewer segments: a kind of more requests has a longer history, so the requests of such a route are judged
later, never earlier.
"""

import re
from math import inf
from typing import Final

from proxy.upstream.evidence.histories import FEW, Histories, key_of
from proxy.upstream.evidence.latencies import Latencies

SEGMENTS: Final = 2
MOST_KINDS: Final = 64  # kinds of one route, for each number of segments
_MOST_KNOWN: Final = 512  # paths whose kind is found without looking at their segments

_IDENTIFIER: Final = re.compile(rb"[^/]*[0-9][^/]*|[^/]{33,}")
"""A segment with a digit that is no version ("v1"), or one longer than words are."""

_VERSION: Final = re.compile(rb"v[0-9]{1,3}")


class Kind:
    """One kind of requests, and how long its answers take."""

    __slots__ = ("_at", "_histories", "_key", "answers")

    def __init__(self, histories: Histories, name: bytes) -> None:
        self._histories = histories
        self._key = key_of(name)
        self._at = -1
        self.answers = Latencies()  # a sample of the answers that this worker has seen

    def note(self, took_s: float, now: float, *, is_sample: bool) -> None:
        """Note an answer; `is_sample` unless it is noted only because it was slow."""
        if is_sample:
            self.answers.note(took_s)
        if self._at < 0 or not self._histories.note(self._at, self._key, took_s, now):
            self._at = self._histories.place(self._key, now)
            if self._at >= 0:
                self._histories.note(self._at, self._key, took_s, now)

    def longest_s(self, now: float, *, few: int = FEW) -> float:
        """Return how long the slowest answer of the last hour took; inf where fewer than `few` are known."""
        if not self._is_placed(now):
            return inf
        return self._histories.longest_s(self._at, self._key, now, few=few)

    def fastest_s(self, now: float) -> float:
        """Return how long the fastest answer took, 0 where none is known."""
        return self._histories.fastest_s(self._at, self._key) if self._is_placed(now) else 0.0

    def usual_s(self) -> float:
        """Return the 99th percentile of this worker's sample; 0 where it knows too few answers."""
        return self.answers.p99() if self.answers.total >= FEW else 0.0

    def _is_placed(self, now: float) -> bool:
        if self._at < 0:
            self._at = self._histories.place(self._key, now)
        return self._at >= 0


class Kinds:
    """The kinds of one route."""

    __slots__ = ("_counts", "_histories", "_kinds", "_known", "_route")

    def __init__(self, route: str, histories: Histories) -> None:
        self._route = route.encode()
        self._histories = histories
        self._kinds: dict[bytes, Kind] = {}
        self._counts = [0] * (SEGMENTS + 1)  # kinds, by the number of segments
        self._known: dict[bytes, Kind] = {}

    def of(self, method: bytes, path: bytes) -> Kind:
        """Return the kind of a request; the path has no query."""
        name = b"%b %b" % (method, path)
        kind = self._known.get(name)
        if kind is None:
            kind = self._find(method, path)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[name] = kind
        return kind

    def _find(self, method: bytes, path: bytes) -> Kind:
        segments = [_name_of(segment) for segment in path[1:].split(b"/", SEGMENTS)[:SEGMENTS]]
        for count in range(len(segments), -1, -1):
            name = b"%b\n%b\n%b" % (self._route, method, b"/".join(segments[:count]))
            kind = self._kinds.get(name)
            if kind is not None:
                return kind
            if self._counts[count] < MOST_KINDS or not count:
                break
        kind = self._kinds[name] = Kind(self._histories, name)
        self._counts[count] += 1
        return kind


def _name_of(segment: bytes) -> bytes:
    is_identifier = _IDENTIFIER.fullmatch(segment) is not None and _VERSION.fullmatch(segment) is None
    return b"*" if is_identifier else segment
