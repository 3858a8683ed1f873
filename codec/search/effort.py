"""How an encoder is asked to work: nothing of it is in the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from caecodec.errors import UsageError
from caecodec.tune import TUNES, Tune

DEFAULT_QUALITY = 75


@dataclass(frozen=True, slots=True)
class Work:
    """What an encoder does at one effort.

    weighs: rate against distortion while rounding, or rounds to nearest. rounds: of choosing all symbols again, each
    with what they cost later on (see `caecodec.search.rounds`).
    """

    weighs: bool = True
    rounds: int = 0


WORK = {
    1: Work(weighs=False),
    2: Work(),
    3: Work(rounds=1),
    4: Work(rounds=3),
    5: Work(rounds=6),
    6: Work(rounds=12),
    7: Work(rounds=24),
    8: Work(rounds=60),
    9: Work(rounds=240),
}


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard an encoder tries, and what for; a decoder does not see it.

    level: 1 rounds, 2 weighs rate against distortion while rounding, 3 looks at what a decoder makes of it and tries
    once more, those above ever more often.
    stop: asked between steps; once it says so, what has been found is taken.
    tune: what it looks at: 'eye', errors as people see them, partly by SSIMULACRA2; 'psnr', squared errors alone. Only
    photo models know the difference.
    """

    level: int = 2
    stop: Callable[[], bool] = lambda: False
    tune: Tune = "eye"

    def __post_init__(self) -> None:
        if isinstance(self.level, bool) or self.level not in WORK:
            raise UsageError(f"effort {self.level!r}: choose a whole number from 1 to 9")
        if self.tune not in TUNES:
            raise UsageError(f"tune {self.tune!r}: choose {' or '.join(TUNES)}")

    @property
    def work(self) -> Work:
        """What that means."""
        return WORK[self.level]


DEFAULT_EFFORT = Effort()
