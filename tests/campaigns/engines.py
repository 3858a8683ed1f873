"""C8: every engine with every instruction set reads the same files, and finds the same latents and pixels."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import Report
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from machine_pictures import Arrays
from machines import ALL, FEW, Machine, play
from support import photograph

_WHOLE = 1000  # decodes from which on every machine is played


def machines(count: int) -> Report:
    """`count` decodes or a few more: each machine that can be played here decodes every file.

    A decode fails where its latents differ from those of the first machine, or a sample does: of torch, whose floats
    are not exact, by more than one. A machine that ends with an error fails as a whole.
    """
    able = [machine for machine in (ALL if count >= _WHOLE else FEW) if machine.able]
    report = Report()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "files"
        folder.mkdir()
        np.savez(folder / "pictures.npz", **dict(_picture(number) for number in range(-(-count // len(able)))))
        play(able[0], "encode", folder / "pictures.npz", folder)
        expected: Arrays = {}
        for machine in able:
            try:
                found = _decoded(machine, folder, Path(place) / "decoded.npz")
                expected = expected or found
                assert found.keys() == expected.keys(), f"{machine.name} decoded other files"
            except AssertionError as exc:
                report.failures.append(str(exc))
                continue
            files = sorted({name.rsplit("/", 1)[0] for name in found})
            report.failures += [
                f"{file} on {machine.name} differs" for file in files if _differs(machine, file, found, expected)
            ]
            report.merge(Report(len(files), outcomes={machine.engine: len(files)}))
    return report


def _decoded(machine: Machine, folder: Path, out: Path) -> Arrays:
    """What a machine finds in the files of a folder: NAME/latents and NAME/pixels of each."""
    play(machine, "decode", out, folder)
    with np.load(out) as stored:
        return dict(stored)


def _differs(machine: Machine, file: str, found: Arrays, expected: Arrays) -> bool:
    off = np.abs(found[f"{file}/pixels"].astype(int) - expected[f"{file}/pixels"]).max()
    same = np.array_equal(found[f"{file}/latents"], expected[f"{file}/latents"])
    return not same or bool(off > (0 if machine.exact else 1))


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
