"""What an encoder measures errors with: a word that commands, codecs and the search share."""

from __future__ import annotations

from typing import Literal, get_args

Tune = Literal["eye", "psnr"]  # errors as people see them, or squared errors alone
TUNES: tuple[Tune, ...] = get_args(Tune)
