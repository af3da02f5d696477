"""Metrics as text, in pieces: a page of 100,000 routes made in one step would hold up every other thread."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

_SLICE: Final = 1000
_END: Final = b"# EOF\n"  # of OpenMetrics


def content_type(accept: str) -> str:
    """Return the media type of the format that a client asks for."""
    return choose_encoder(accept)[1]


def exposition(collector: Collector, accept: str) -> Iterator[bytes]:
    """Yield the page in the format that a client asks for, a thousand samples at a time."""
    encode = choose_encoder(accept)[0]
    is_open = False
    for metric in collector.collect():
        for number, part in enumerate(_parts(metric)):
            text: bytes = encode(_registry_of(part))
            is_open = text.endswith(_END)
            yield _without_head(text.removesuffix(_END)) if number else text.removesuffix(_END)
    if is_open:
        yield _END


def _parts(metric: Metric) -> Iterator[Metric]:
    samples = metric.samples
    for start in range(0, max(len(samples), 1), _SLICE):
        part = Metric(metric.name, metric.documentation, metric.type, metric.unit)
        part.samples = samples[start : start + _SLICE]
        yield part


def _registry_of(metric: Metric) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_One(metric))
    return registry


def _without_head(text: bytes) -> bytes:
    """Leave out HELP and TYPE, which a family has once."""
    while text.startswith(b"#"):
        text = text.partition(b"\n")[2]
    return text


class _One(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric

    def describe(self) -> list[Metric]:
        """Say nothing: it is registered with no other."""
        return []
