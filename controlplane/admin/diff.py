"""The changes of an apply, without applying it: by the counters, and by a child process for the rest."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from controlplane.admin.state import Source
from controlplane.proposal.difference import ProposalError
from controlplane.proposal.runner import Differ, Rates
from controlplane.publish import Totals

SAMPLE_S: Final = 1.0
"""Between the two samples of the counters: the rate of a route with few requests is rough."""


class _Traffic(msgspec.Struct, frozen=True):
    at: float  # of the event loop's clock
    requests: Counter[str]  # by route id


async def difference(source: Source, differ: Differ, body: bytes) -> bytes:
    """Return the changes, and findings about the objects, as JSON. Raises ProposalError, Failed."""
    basis = source.basis()
    if basis is None:
        raise ProposalError("there is no snapshot yet; /readyz says what is missing")

    async def rates() -> Rates:
        before = await _traffic(source)
        await asyncio.sleep(SAMPLE_S)
        return _rates(before, await _traffic(source))

    return await differ.difference(body, basis, rates)


async def _traffic(source: Source) -> _Traffic:
    await source.refresh()
    at, tally = asyncio.get_running_loop().time(), source.state().tally
    return _Traffic(at, await asyncio.to_thread(_by_route, tally))


def _by_route(tally: Callable[[], Totals]) -> Counter[str]:
    requests: Counter[str] = Counter()
    for (_, route, *_), count in tally().requests.items():
        requests[route] += count
    return requests


def _rates(first: _Traffic, second: _Traffic) -> Rates:
    passed = second.at - first.at
    return {route: max(count - first.requests[route], 0) / passed for route, count in second.requests.items()}
