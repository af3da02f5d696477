"""Pauses of the worker, and how long answers took without them."""

from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.request_line import Resource
from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream.connections.h1.connection import UpstreamConnection
from proxy.upstream.detection.learning import Learning
from proxy.upstream.evidence.histories import Histories
from proxy.upstream.evidence.kinds import Kinds
from proxy.upstream.evidence.pauses import Pauses
from proxy.upstream.service import Services

NOW, TICK_S, LATE_S = 1000.0, 0.02, 0.05


def paused(until: float) -> Pauses:
    """Return the pauses of a worker that was to be called at NOW + TICK_S."""
    pauses = Pauses(TICK_S, LATE_S)
    pauses.begin(NOW)
    pauses.ticked(until)
    return pauses


def test_a_call_in_time_is_no_pause() -> None:
    pauses = Pauses(TICK_S, LATE_S)
    pauses.begin(NOW)
    assert not pauses.ticked(NOW + 0.06)
    assert pauses.within_s(NOW - 1.0, NOW + 0.06) == 0.0


def test_a_late_call_is_a_pause_from_when_it_was_due() -> None:
    pauses = Pauses(TICK_S, LATE_S)
    pauses.begin(NOW)
    assert pauses.ticked(NOW + 0.32)
    assert pauses.within_s(NOW - 1.0, NOW + 0.33) == pytest.approx(0.3)


def test_a_pause_that_lasts_counts_before_the_call_that_tells_of_it() -> None:
    pauses = Pauses(TICK_S, LATE_S)
    pauses.begin(NOW)
    assert pauses.within_s(NOW, NOW + 0.32) == pytest.approx(0.3)


def test_a_pause_before_the_request_is_none_of_its_time() -> None:
    assert paused(NOW + 0.32).within_s(NOW + 0.32, NOW + 0.34) == 0.0


def test_a_worker_that_expects_no_call_has_no_pause() -> None:
    pauses = paused(NOW + 0.02)
    pauses.end()
    assert pauses.within_s(NOW, NOW + 60.0) == 0.0


@given(
    calls=st.lists(st.floats(0.0, 0.5), max_size=5),
    since=st.floats(0.0, 3.0),
    took_s=st.floats(0.0, 3.0),
)
def test_a_pause_is_never_longer_than_the_time_it_is_in(
    calls: list[float], since: float, took_s: float
) -> None:
    pauses, at = Pauses(TICK_S, LATE_S), NOW
    pauses.begin(at)
    for later in calls:
        at += later
        pauses.ticked(at)
    now = max(at, NOW + since + took_s)  # whoever asks lives now
    sent = min(NOW + since, now)
    assert -1e-9 <= pauses.within_s(sent, now) <= now - sent + 1e-9


def test_the_history_of_a_kind_leaves_the_pause_of_the_worker_out() -> None:
    services = Services(Histories())
    services.change(Service("demo/s:80", (ClusterEndpoints("c1", (Endpoint("::1", 1),)),)))
    (endpoint,) = services.endpoints()
    kinds = Kinds("demo/ingress", Histories())
    connection = cast(UpstreamConnection, SimpleNamespace(endpoint=endpoint, since=NOW + 0.015))
    Learning(paused(NOW + 0.52)).answered(kinds, Resource(b"GET", b"/", b""), connection, NOW + 0.525)
    assert kinds.of(b"GET", b"/").longest_s(NOW + 0.525, few=1) < 0.025
