"""When connects to an endpoint count as unanswered."""

from proxy.upstream.evidence.unanswered import Unanswered


def test_two_connects_that_nothing_came_of_are_enough() -> None:
    unanswered = Unanswered()
    unanswered.add(started=1.0, heard=0.5)
    assert not unanswered.is_enough
    unanswered.add(started=1.1, heard=0.5)
    assert unanswered.is_enough


def test_a_connect_that_began_before_the_last_sign_of_life_says_nothing() -> None:
    unanswered = Unanswered()
    unanswered.end(2.0)  # a connect was answered
    for _ in range(3):
        unanswered.add(started=1.0, heard=0.0)
        unanswered.add(started=2.5, heard=3.0)  # something came over an old connection
    assert not unanswered.is_enough


def test_a_sign_of_life_begins_anew() -> None:
    unanswered = Unanswered()
    unanswered.add(started=1.0, heard=0.0)
    assert not unanswered.end(2.0)
    unanswered.add(started=3.0, heard=0.0)
    assert not unanswered.is_enough
    unanswered.add(started=3.0, heard=0.0)
    assert unanswered.is_enough
    unanswered.is_unreachable = True
    assert unanswered.end(4.0)
    assert not unanswered.is_unreachable
