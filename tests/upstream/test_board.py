"""What workers tell each other of endpoints that one of them suspects."""

from math import inf

import pytest

from proxy.upstream.evidence.board import ASKED_S, GONE_S, MEMORY_BYTES, OLDEST, ROWS, Board

NOW = 1000.0


@pytest.fixture
def memory() -> memoryview:
    return memoryview(bytearray(MEMORY_BYTES))


def test_a_worker_that_is_asked_tells_what_it_knows(memory: memoryview) -> None:
    one, other = Board(memory, 0), Board(memory, 5)
    other.wanted(NOW)
    one.ask(7, NOW)
    assert one.told(7, NOW, NOW) is None
    assert other.wanted(NOW + 0.1) == [7]
    other.tell(7, NOW - 3.0, [NOW - 1.0, NOW - 2.0], NOW + 0.1)
    told = one.told(7, NOW, NOW + 0.1)
    assert told is not None
    assert (told.heard, told.busy) == (NOW - 3.0, [NOW - 2.0, NOW - 1.0])


def test_a_lone_worker_has_its_answer_at_once(memory: memoryview) -> None:
    told = Board(memory, 0).told(7, NOW, NOW)
    assert told is not None
    assert (told.heard, told.busy) == (-inf, [])


def test_a_question_is_open_for_half_a_second(memory: memoryview) -> None:
    board = Board(memory, 0)
    board.ask(7, NOW)
    assert board.wanted(NOW + ASKED_S / 2) == [7]
    board.ask(8, NOW + ASKED_S)
    assert board.wanted(NOW + ASKED_S) == [8]


def test_the_oldest_requests_are_told(memory: memoryview) -> None:
    one, other = Board(memory, 0), Board(memory, 1)
    other.wanted(NOW)
    one.ask(7, NOW)
    other.tell(7, NOW, [NOW - n for n in range(100)], NOW)
    told = one.told(7, NOW, NOW)
    assert told is not None
    assert told.busy == [NOW - 99 + n for n in range(OLDEST)]
    other.tell(7, NOW, [], NOW + 0.1)
    later = one.told(7, NOW, NOW + 0.1)
    assert later is not None
    assert later.busy == []


def test_a_worker_that_writes_nothing_has_ended(memory: memoryview) -> None:
    one, other = Board(memory, 0), Board(memory, 1)
    other.wanted(NOW)
    assert one.told(7, NOW, NOW + GONE_S / 2) is None
    assert one.told(7, NOW, NOW + GONE_S) is not None


def test_rows_are_used_again(memory: memoryview) -> None:
    board = Board(memory, 0)
    for key in range(1, 2 * ROWS):
        board.ask(key, NOW)
    assert len(board.wanted(NOW)) == ROWS
    later = NOW + ASKED_S
    board.ask(9999, later)
    assert board.wanted(later) == [9999]
