"""How an encoder is asked to work: nothing of it is in the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from caecodec.errors import UsageError

DEFAULT_QUALITY = 75
EFFORTS = range(1, 10)
Tune = Literal["eye", "psnr"]
TUNES: tuple[Tune, ...] = get_args(Tune)


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard an encoder tries, and what for; a decoder does not see it.

    level: 1 rounds, 2 weighs rate against distortion while rounding, 3 and above look at what a decoder makes of it
    and try again, ever more often.
    stop: asked between steps; once it says so, what has been found is taken.
    tune: what it looks at: 'eye', errors as people see them, half by SSIMULACRA2; 'psnr', squared errors alone. Only
    photo models know the difference.
    """

    level: int = 2
    stop: Callable[[], bool] = lambda: False
    tune: Tune = "eye"

    def __post_init__(self) -> None:
        if isinstance(self.level, bool) or self.level not in EFFORTS:
            raise UsageError(f"effort {self.level!r}: choose a whole number from 1 to 9")
        if self.tune not in TUNES:
            raise UsageError(f"tune {self.tune!r}: choose {' or '.join(TUNES)}")


DEFAULT_EFFORT = Effort()
