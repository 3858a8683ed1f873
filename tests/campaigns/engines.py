"""C8: every engine with every instruction set reads the same files, and finds the same latents and pixels."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import Report
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from machines import ALL, FEW, play
from support import photograph

_WHOLE = 1000  # decodes from which on every machine is played


def machines(count: int) -> Report:
    """`count` decodes or a few more: each machine that can be played here decodes every file.

    A decode fails where its latents differ from those of the first machine, or a sample does: of torch, whose floats
    are not exact, by more than one.
    """
    able = [machine for machine in (ALL if count >= _WHOLE else FEW) if machine.able]
    report = Report()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "files"
        folder.mkdir()
        np.savez(folder / "pictures.npz", **dict(_picture(number) for number in range(-(-count // len(able)))))
        play(able[0], "encode", folder / "pictures.npz", folder)
        expected: dict[str, NDArray[np.uint8]] = {}
        for machine in able:
            play(machine, "decode", Path(place) / "decoded.npz", folder)
            with np.load(Path(place) / "decoded.npz") as stored:
                found = dict(stored)
            expected = expected or found
            for name, array in found.items():
                off = int(np.abs(array.astype(int) - expected[name].astype(int)).max())
                if off > (machine.engine == "torch" and name.endswith("pixels")):
                    report.failures.append(f"{name} on {machine.name} is {off} off")
                if name.endswith("pixels"):
                    report.merge(Report(1, outcomes={machine.engine: 1}))
    return report


def _picture(number: int) -> tuple[str, NDArray[np.uint8]]:
    """The picture of a number, and its name, which says its model: of every third `tiny`."""
    dice = np.random.default_rng(number)
    model, longest = ("tiny", 64) if number % 3 == 2 else ("photo", 96)
    height, width = (int(side) for side in dice.integers(1, longest + 1, 2))
    kind = number % 5
    if kind == 0:
        pixels = dice.integers(0, 256, (height, width, 3), np.uint8)
    elif kind == 1:
        pixels = np.broadcast_to(dice.integers(0, 256, 3, np.uint8), (height, width, 3)).copy()
    else:
        pixels = photograph(height, width, seed=number)
    return f"{model}-{number}", pixels[..., 0] if kind == 4 else pixels
