"""Endpoints of different weights take turns, each exactly as often as its weight says.

The next turn is that of whoever is due first: the n-th turn of an endpoint is due at (n - ½) / weight.
That spreads the heavy ones evenly, is exact over every sum of the weights, and needs no schedule
that would have to be laid out anew, for thousands of turns, whenever an endpoint comes or goes.
"""

from collections.abc import Sequence
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.upstream.endpoint import LiveEndpoint


class Turn:
    """An endpoint and how many turns it has had."""

    __slots__ = ("endpoint", "had", "weight")

    def __init__(self, endpoint: "LiveEndpoint") -> None:
        self.endpoint = endpoint
        self.weight = endpoint.weight
        self.had = 0

    def due(self) -> float:
        # A quotient of two whole numbers is rounded correctly, so equal ones are equal as floats
        return (2 * self.had + 1) / self.weight


class Turns:
    """The turns of all endpoints of one cluster. None of the weights is 0."""

    __slots__ = ("_heap",)

    def __init__(self, endpoints: "Sequence[LiveEndpoint]") -> None:
        self._heap = [(turn.due(), number, turn) for number, turn in enumerate(map(Turn, endpoints))]
        heapify(self._heap)

    def next(self) -> "LiveEndpoint":
        _, number, turn = self._heap[0]
        turn.had += 1
        heapreplace(self._heap, (turn.due(), number, turn))
        return turn.endpoint


def turns(endpoints: "Sequence[LiveEndpoint]") -> Turns | None:
    """Return the turns of endpoints with different weights, None when all weigh the same."""
    if all(endpoint.weight == endpoints[0].weight for endpoint in endpoints):
        return None
    return Turns(endpoints)
