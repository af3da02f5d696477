"""How long a worker's place is empty before the next process is started."""

from controlplane.supervisor.slot import BACKOFF_FIRST_S, BACKOFF_MAX_S, HEALTHY_AFTER_S, RestartBackoff


def test_processes_that_never_serve_are_started_ever_later() -> None:
    backoff = RestartBackoff()
    delays = [backoff.after(0.2, served=False) for _ in range(9)]
    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, BACKOFF_MAX_S, BACKOFF_MAX_S]


def test_a_worker_that_served_is_replaced_at_once_however_often_it_ends() -> None:
    backoff = RestartBackoff()
    delays = [backoff.after(1.0, served=True) for _ in range(20)]
    assert delays[0] == 0.0
    assert max(delays) == BACKOFF_FIRST_S


def test_a_worker_that_serves_after_failed_starts_ends_the_long_pauses() -> None:
    backoff = RestartBackoff()
    for _ in range(9):
        backoff.after(0.2, served=False)
    assert backoff.after(1.0, served=True) == BACKOFF_FIRST_S
    assert backoff.after(0.2, served=False) == 2 * BACKOFF_FIRST_S
    assert backoff.after(HEALTHY_AFTER_S, served=True) == 0.0
