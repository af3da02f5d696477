"""Thousands of endpoints come in steps, and none leaves before all have come."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.model.snapshot import ClusterEndpoints, Endpoint, Service
from proxy.upstream import growth
from proxy.upstream.growth import MOST_STEPS, STEP, steps
from proxy.upstream.service import Services

Addresses = set[tuple[str, str]]


def clusters(**counts: range) -> tuple[ClusterEndpoints, ...]:
    return tuple(
        ClusterEndpoints(name, tuple(Endpoint(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 80) for n in numbers))
        for name, numbers in counts.items()
    )


def addresses(described: tuple[ClusterEndpoints, ...]) -> Addresses:
    return {(each.cluster, endpoint.address) for each in described for endpoint in each.endpoints}


def test_a_usual_service_changes_in_one_step() -> None:
    new = clusters(c1=range(STEP // 2), c2=range(STEP // 2))
    assert list(steps((), new)) == [new]


RANGES = st.builds(range, st.integers(0, 9), st.integers(0, 60))


@given(RANGES, RANGES, RANGES, RANGES)
def test_steps_only_add_until_the_last_one_which_is_the_new_state(
    a: range, b: range, c: range, d: range
) -> None:
    old, new = clusters(c1=a, c2=b), clusters(c2=c, c3=d)
    taken = small_steps(old, new)
    assert taken[-1] == new
    before = addresses(old)
    for step in taken[:-1]:
        now = addresses(step)
        assert before < now
        assert len(now - before) <= max(5, 1 + (len(c) + len(d)) // MOST_STEPS)
        before = now
    assert addresses(new) <= before or len(taken) == 1


def small_steps(old: growth.Clusters, new: growth.Clusters) -> list[growth.Clusters]:
    """The same with steps of five."""
    usual = growth.STEP
    growth.STEP = 5  # type: ignore[misc]
    try:
        return list(growth.steps(old, new))
    finally:
        growth.STEP = usual  # type: ignore[misc]


def test_a_newer_change_ends_the_steps_of_an_older_one() -> None:
    services = Services()
    older = services.change_in_steps(Service("demo/web:80", clusters(c1=range(3 * STEP))))
    next(older)
    newer = clusters(c1=range(5))
    services.change(Service("demo/web:80", newer))
    assert list(older) == []
    assert {endpoint.address for endpoint in services.endpoints()} == {e.address for e in newer[0].endpoints}


def test_endpoints_of_the_first_description_have_been_there_from_the_start() -> None:
    services = Services()
    services.change(Service("demo/web:80", clusters(c1=range(3 * STEP))))
    (service,) = services.all()
    assert service.size == 3 * STEP
    assert len({endpoint._since for endpoint in service.endpoints()}) == 1
