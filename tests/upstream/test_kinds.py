"""Which requests are of one kind, and how long the history of a kind lasts and is shared."""

from math import inf

import pytest

from proxy.upstream.evidence.histories import FEW, MEMORY_BYTES, PERIOD_S, ROWS, Histories, key_of
from proxy.upstream.evidence.kinds import MOST_KINDS, Kind, Kinds

NOW = 10 * PERIOD_S


def told(kind: Kind, *took_s: float, at: float = NOW) -> Kind:
    for each in took_s:
        kind.note(each, at, is_sample=True)
    return kind


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ((b"GET", b"/items/17"), (b"GET", b"/items/18"), True),
        ((b"GET", b"/items/17/parts"), (b"GET", b"/items/18/owners"), True),  # beyond the leading segments
        ((b"GET", b"/items/17"), (b"GET", b"/items/today"), False),
        ((b"GET", b"/items"), (b"POST", b"/items"), False),
        ((b"GET", b"/fast/1"), (b"GET", b"/slow/1"), False),
        ((b"GET", b"/api/v1/a"), (b"GET", b"/api/v2/a"), False),  # a version is no identifier
        ((b"GET", b"/f/0f8fad5b-d9cb-469f"), (b"GET", b"/f/7c9e6679-7425-40de"), True),
        ((b"GET", b"/t/" + b"a" * 33), (b"GET", b"/t/" + b"b" * 40), True),
        ((b"GET", b"/"), (b"GET", b"/about"), False),
    ],
)
def test_method_and_leading_segments_make_a_kind(
    one: tuple[bytes, bytes], other: tuple[bytes, bytes], alike: bool
) -> None:
    kinds = Kinds("demo/r", Histories())
    assert (kinds.of(*one) is kinds.of(*other)) is alike


def test_a_route_with_many_kinds_is_told_apart_by_fewer_segments() -> None:
    kinds = Kinds("demo/r", Histories())
    words = [b"".join(bytes([97 + ord(digit) - 48]) for digit in f"{n:05}") for n in range(400)]
    single = {id(kinds.of(b"GET", b"/shop/" + word)) for word in words}
    assert len(single) == MOST_KINDS + 1  # the last one is `GET /shop`
    several = {id(kinds.of(b"GET", b"/%b/x" % word)) for word in words}
    assert len(several) <= MOST_KINDS + 1


def test_kinds_of_two_routes_have_histories_of_their_own() -> None:
    histories = Histories()
    one, other = Kinds("demo/a", histories).of(b"GET", b"/x"), Kinds("demo/b", histories).of(b"GET", b"/x")
    told(one, *[0.1] * FEW)
    assert one.longest_s(NOW) == 0.1
    assert other.longest_s(NOW) == inf


def test_few_answers_tell_nothing_and_the_longest_counts() -> None:
    kind = Kinds("demo/r", Histories()).of(b"GET", b"/x")
    told(kind, *[0.1] * (FEW - 1))
    assert kind.longest_s(NOW) == inf
    assert kind.longest_s(NOW, few=1) == 0.1
    assert not kind.usual_s()
    told(kind, 2.0)
    assert kind.longest_s(NOW) == 2.0
    assert kind.fastest_s(NOW) == 0.1


@pytest.mark.parametrize(
    ("after_s", "expected"), [(0.0, 2.0), (PERIOD_S, 2.0), (2 * PERIOD_S, inf), (9 * PERIOD_S, inf)]
)
def test_an_answer_is_forgotten_after_an_hour(after_s: float, expected: float) -> None:
    kind = told(Kinds("demo/r", Histories()).of(b"GET", b"/x"), *[2.0] * FEW)
    assert kind.longest_s(NOW + after_s) == expected


def test_a_slow_answer_counts_for_a_while_though_faster_ones_come() -> None:
    kind = told(Kinds("demo/r", Histories()).of(b"GET", b"/x"), *[2.0] * FEW)
    told(kind, *[0.1] * FEW, at=NOW + PERIOD_S)
    assert kind.longest_s(NOW + PERIOD_S) == 2.0
    told(kind, *[0.1] * FEW, at=NOW + 2 * PERIOD_S)
    assert kind.longest_s(NOW + 2 * PERIOD_S) == 0.1


def test_workers_that_share_memory_share_histories() -> None:
    memory = memoryview(bytearray(MEMORY_BYTES))
    one, other = (Kinds("demo/r", Histories(memory)).of(b"GET", b"/x") for _ in range(2))
    told(one, *[0.3] * (FEW // 2))
    told(other, *[0.1] * (FEW - FEW // 2))
    assert one.longest_s(NOW) == other.longest_s(NOW) == 0.3


def test_the_table_is_bounded_and_what_does_not_fit_has_no_history() -> None:
    histories = Histories()
    placed = [histories.place(key_of(b"%d" % n), NOW) for n in range(ROWS * 2)]
    assert placed.count(-1) >= ROWS
    late = NOW + 5 * PERIOD_S  # rows that nobody has written to for an hour are free again
    assert histories.place(key_of(b"new"), late) >= 0


def test_a_row_that_another_kind_has_taken_tells_nothing() -> None:
    histories = Histories()
    key = key_of(b"one")
    at = histories.place(key, NOW)
    for _ in range(FEW):
        assert histories.note(at, key, 0.5, NOW)
    other = key + ROWS  # the same place
    assert histories.place(other, NOW + 5 * PERIOD_S) == at
    assert not histories.note(at, key, 0.5, NOW)
    assert histories.longest_s(at, key, NOW) == inf
