"""Where the time goes: stages add up to the whole, and nothing is counted twice."""

from __future__ import annotations

import time

import pytest
from support import photograph

from caecodec.bench import breakdown
from caecodec.errors import UsageError
from caecodec.pixels import from_array


def test_stages_add_up_to_the_whole() -> None:
    found = breakdown.breakdown(from_array(photograph(256, 192)), 50, rounds=2)
    assert list(found) == ["encode", "decode"]
    for name, result in found.items():
        assert sum(result.seconds.values()) == pytest.approx(result.total)
        busy = {stage for stage, seconds in result.seconds.items() if seconds > 0}
        assert {"integers: h_s", "integers: context", "integers: heads", "entropy coder"} < busy
        assert ("g_a" in busy, "g_s" in busy) == ((True, False) if name == "encode" else (False, True))
        assert 0 < result.share("integers") < 1
        assert result.gigamacs > 0


def test_a_stage_inside_another_is_charged_to_itself() -> None:
    clock = breakdown._Clock()
    inner = clock.timed("g_s", lambda: time.sleep(0.03))

    def both() -> None:
        time.sleep(0.01)
        inner()

    clock.timed("g_a", both)()
    clock.switch()
    assert clock.seconds["g_s"] == pytest.approx(0.03, abs=0.01)
    assert clock.seconds["g_a"] == pytest.approx(0.01, abs=0.008)


def test_only_photo_models_are_broken_down() -> None:
    with pytest.raises(UsageError, match="photo"):
        breakdown.breakdown(from_array(photograph(32, 32)), 50, model="tiny")
