from __future__ import annotations

import pytest

from caecodec.bench.timing import clock
from caecodec.bench.timing.clock import Clock
from caecodec.stages import stage


class Work:
    """Takes seconds of a clock that stands still otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(clock.time, "perf_counter", lambda: self.now)

    def take(self, seconds: float) -> float:
        self.now += seconds
        return seconds

    def fail(self) -> None:
        self.take(2.0)
        raise ValueError("no more")


def test_a_stage_inside_another_is_charged_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    work, timer = Work(monkeypatch), Clock(("outer", "inner", "idle"))
    inner = stage("inner")(work.take)

    @stage("outer")
    def both() -> None:
        work.take(1.0)
        inner(3.0)
        work.take(0.5)

    def all_of_it() -> None:
        work.take(0.25)
        both()

    for _ in range(2):  # a lap begins at nothing
        assert timer.lap(all_of_it) == {"outer": 1.5, "inner": 3.0, "idle": 0.0, "the rest": 0.25}
    both()  # nobody watches


def test_a_stage_that_fails_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    work, timer = Work(monkeypatch), Clock(("failing",))

    def whole() -> None:
        with pytest.raises(ValueError, match="no more"):
            stage("failing")(work.fail)()
        work.take(1.0)

    assert timer.lap(whole) == {"failing": 2.0, "the rest": 1.0}
