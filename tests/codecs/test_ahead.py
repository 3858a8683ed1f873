"""Work done before it is asked for comes in order, and so do its errors."""

from __future__ import annotations

import threading
import time

import pytest

from caecodec.codecs.ahead import ahead


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_order_whoever_is_done_first(workers: int) -> None:
    def slow_if_even(number: int) -> int:
        time.sleep(0.01 * (number % 2 == 0))
        return number * number

    assert list(ahead(slow_if_even, range(9), workers)) == [n * n for n in range(9)]


def test_as_many_run_beside_each_other_as_there_are_workers() -> None:
    meeting = threading.Barrier(2)
    met = list(ahead(lambda _: meeting.wait(timeout=60), range(4), 2))  # alone, each would wait in vain
    assert sorted(met) == [0, 0, 1, 1]


def test_an_error_comes_in_its_place_and_what_is_behind_is_left() -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise ValueError("two")
        return number

    found = []
    with pytest.raises(ValueError, match="two"):
        for one in ahead(work, range(100), 2):
            found.append(one)
    assert found == [0, 1]
    assert len(begun) < 8
