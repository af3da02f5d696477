"""How many answers a worker takes in as evidence: all where they are few, a bounded number of many."""

from collections.abc import Iterable
from math import inf
from types import SimpleNamespace
from typing import cast

import pytest

from proxy.http.request_line import Resource
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.detection.learning import SAMPLE, Learning
from proxy.upstream.endpoint import LiveEndpoint
from proxy.upstream.evidence.concurrency import Concurrency
from proxy.upstream.evidence.histories import Histories
from proxy.upstream.evidence.kinds import Kinds
from proxy.upstream.evidence.pauses import Pauses
from proxy.upstream.service import Services

NOW, TOOK_S = 1000.0, 0.001
RESOURCE = Resource(b"GET", b"/", b"")


def make_endpoint() -> LiveEndpoint:
    services = Services()
    services.change(Service("s", (ClusterEndpoints("c1", (Endpoint("127.0.0.1", 9),)),)))
    (endpoint,) = services.endpoints()
    return endpoint


def taken(learning: Learning, endpoint: LiveEndpoint, times: Iterable[float]) -> int:
    """Return how many answers at these times belong to samples; all are offered that a worker would offer."""
    kinds = Kinds("demo/ingress", Histories())
    for now in times:
        if now >= learning.due or endpoint.beside_probe:
            connection = SimpleNamespace(endpoint=endpoint, since=now - TOOK_S)
            learning.answered(kinds, RESOURCE, cast(UpstreamConnection, connection), now)
    return kinds.of(RESOURCE.method, RESOURCE.path).answers.total


@pytest.mark.parametrize(("rate", "least", "most"), [(50, 50, 50), (200, 160, 200), (20_000, 100, 150)])
def test_a_worker_takes_a_bounded_number_of_answers_in_a_second(rate: int, least: int, most: int) -> None:
    learning = Learning(Pauses(0.02, 0.05))
    assert least <= taken(learning, make_endpoint(), (NOW + n / rate for n in range(rate))) <= most


def test_a_probe_has_a_bounded_number_of_answers_noted_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[float] = []
    monkeypatch.setattr(
        Concurrency, "answered", lambda _self, _since, now, _took, _waiting: noted.append(now)
    )
    learning, endpoint = Learning(Pauses(0.02, 0.05)), make_endpoint()
    learning.due = inf
    endpoint.beside_probe = SAMPLE
    assert taken(learning, endpoint, (NOW + n / 10_000 for n in range(1000))) == 0
    assert len(noted) == SAMPLE
