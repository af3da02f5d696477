"""How many endpoints a cluster had before it had none."""

import pytest

from controlplane.observe.memory import FALL_S, FORGET_S, EndpointMemory

PAIR = ("x", "a")


@pytest.mark.parametrize(
    ("noted", "had"),
    [
        ([(1, 2), (50, 0)], 2),
        ([(1, 2), (3600, 0)], 2),
        ([(1, 2), (50, 1), (51, 0)], 2),
        ([(1, 2), (3600, 1), (3601, 0)], 2),
        ([(1, 5), (50, 3), (52, 4), (54, 0)], 5),
        ([(1, 5), (50, 3), (50 + FALL_S + 1, 0)], 3),
        ([(1, 5), (50, 3), (50 + FALL_S + 1, 2), (50 + FALL_S + 2, 0)], 3),
        ([(1, 5), (50, 3), (100, 0)], 5),
        ([(1, 2), (50, 4), (51, 0)], 4),
        ([(1, 2), (50, 0), (51, 0)], 2),
        ([(1, 2), (50, 0), (51, 1)], 0),
        ([(1, 2)], 0),
        ([(1, 0)], 0),
    ],
)
def test_the_number_of_endpoints_before_the_loss_is_remembered(
    noted: list[tuple[float, int]], had: int
) -> None:
    """Looks are a second apart."""
    memory = EndpointMemory()
    for now, total in noted:
        memory.note(PAIR, total, now - 1, now)
    assert memory.had(PAIR) == had


def test_a_number_is_forgotten_after_an_hour_or_with_its_service() -> None:
    memory = EndpointMemory()
    for pair in (PAIR, ("y", "a")):
        memory.note(pair, 2, 0, 1)
        memory.note(pair, 0, 1, 2)
    memory.keep({PAIR})
    assert (memory.had(PAIR), memory.had(("y", "a"))) == (2, 0)
    assert not memory.forget(FORGET_S)
    assert memory.forget(FORGET_S + 3)
    assert memory.had(PAIR) == 0
