"""Weighted round robin, earliest deadline first (EDF): candidates take turns, exactly as often as they weigh.

The candidate that is due first has the next turn: its n-th turn is due at (n - ½) / weight. This order
spreads heavy candidates evenly, is exact over every sum of the weights, and needs no schedule, which would
have to be laid out anew, for thousands of turns, whenever a candidate comes or goes.
"""

from collections.abc import Sequence
from heapq import heapify, heapreplace


class Turn:
    """The weight of a candidate, and how many turns it has had."""

    __slots__ = ("had", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.had = 0

    def due(self) -> float:
        # A quotient of two whole numbers is rounded correctly, so equal ones are equal as floats
        return (2 * self.had + 1) / self.weight


class WeightedRoundRobin:
    """The turns of candidates, known by their indexes. None of the weights is 0."""

    __slots__ = ("_heap",)

    def __init__(self, weights: Sequence[int]) -> None:
        self._heap = [(each.due(), index, each) for index, each in enumerate(map(Turn, weights))]
        heapify(self._heap)

    def next(self) -> int:
        """Return the index of the candidate that is due."""
        _, index, candidate = self._heap[0]
        candidate.had += 1
        heapreplace(self._heap, (candidate.due(), index, candidate))
        return index


def weighted_round_robin(weights: Sequence[int]) -> WeightedRoundRobin | None:
    """Return the turns of candidates with these weights, None when all weigh the same."""
    if all(weight == weights[0] for weight in weights):
        return None
    return WeightedRoundRobin(weights)
