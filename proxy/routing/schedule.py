"""Weights as a repeating schedule: smooth weighted round robin, computed once per change.

The smooth algorithm (nginx) is periodic in the sum of the weights, so the sequence is laid out when
shares change and a pick is one list index, exact to the request.
"""

from collections.abc import Sequence
from math import gcd
from typing import Final

MAX_PERIOD: Final = 4096


def reduce_weights(weights: Sequence[int]) -> list[int]:
    """Return weights of the same proportions whose sum is at most MAX_PERIOD.

    Proportions are exact after dividing by the common divisor; only sums beyond the period are
    rounded, and there no positive weight becomes zero.
    """
    divisor = gcd(*weights) or 1
    reduced = [weight // divisor for weight in weights]
    total = sum(reduced)
    if total <= MAX_PERIOD:
        return reduced
    return [max(1, round(weight * MAX_PERIOD / total)) if weight else 0 for weight in reduced]


def schedule(weights: Sequence[int]) -> list[int]:
    """Return the indexes of one period, spread as evenly as the weights allow; [] if all are 0."""
    reduced = reduce_weights(weights)
    total = sum(reduced)
    current = [0] * len(reduced)
    order: list[int] = []
    for _ in range(total):
        best = -1
        for index, weight in enumerate(reduced):
            current[index] += weight
            if weight and (best < 0 or current[index] > current[best]):
                best = index
        current[best] -= total
        order.append(best)
    return order
