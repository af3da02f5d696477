"""Metrics in pieces are the page that prometheus_client makes in one."""

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from controlplane.admin.exposition import content_type, exposition
from controlplane.admin.metrics import Metrics
from tests.support.states import serving

TEXT, OPEN = "", "application/openmetrics-text; version=1.0.0"


class Large(Collector):
    """Families without samples, with some, and with more than a piece has."""

    def collect(self) -> list[Metric]:
        counter = CounterMetricFamily("requests", 'Of "routes"\n# HELP is a word.', labels=("route",))
        gauge = GaugeMetricFamily("shares", "Of routes.", labels=("route",))
        durations = HistogramMetricFamily("seconds", "Of routes.", labels=("route",))
        for number in range(2_500):
            counter.add_metric((f"#{number}\n",), number)
            durations.add_metric((str(number),), [("1", 1), ("+Inf", 2)], 3)
        return [counter, gauge, durations, GaugeMetricFamily("up", "One.", value=1)]


@pytest.mark.parametrize("accept", [TEXT, OPEN])
@pytest.mark.parametrize("collector", [Large(), Metrics(serving())])
def test_pieces_make_the_same_page(collector: Collector, accept: str) -> None:
    registry = CollectorRegistry()
    registry.register(collector)
    encode, kind = choose_encoder(accept)
    pieces = list(exposition(collector, accept))
    assert b"".join(pieces) == encode(registry)
    assert content_type(accept) == kind
    assert max(map(len, pieces)) < 200_000
