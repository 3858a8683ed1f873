"""A file written on one machine decodes on another: to the same latents and pixels, bit for bit.

Machines are engines with an instruction set and a number of threads. What is exact, the native core with each of its
kernel sets and numpy with OpenBLAS's, writes the same bytes too. The engine on torch finds the same latents and pixels
within one step, and all others read what it writes. All machines read the same files, so every pair of them is held
equal. The quick test plays five machines on a few pictures, of which torch only reads; the one marked slow
plays all on many.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from machine_pictures import LARGE, Arrays, few_pictures, golden, many_pictures
from machines import ALL, FEW, Machine, play


def encoded(machines: list[Machine], pictures: Arrays, out: Path) -> list[Path]:
    """Encode everywhere, hold what exact machines write equal, and return one folder of each kind of file."""
    np.savez(out / "exact.npz", **pictures)
    np.savez(out / "torch.npz", **{name: pictures[name] for name in pictures.keys() - {LARGE}})
    kept: list[Path] = []
    expected: dict[str, bytes] = {}
    for machine in machines:
        folder = out / machine.name
        folder.mkdir()
        play(machine, "encode", out / f"{'exact' if machine.exact else 'torch'}.npz", folder)
        files = {path.name: path.read_bytes() for path in folder.glob("*.cae")}
        if machine.exact and expected:
            assert files.keys() == expected.keys()
            assert [name for name in files if files[name] != expected[name]] == [], machine.name
            continue
        expected = files if machine.exact else expected
        kept.append(folder)
    return kept


@pytest.mark.long
@pytest.mark.parametrize(
    ("machines", "pictures"),
    [
        pytest.param(FEW, few_pictures, id="few machines"),
        pytest.param(ALL, many_pictures, id="all machines", marks=pytest.mark.slow),
    ],
)
def test_what_one_machine_writes_is_the_same_picture_on_every_other(
    tmp_path: Path, machines: tuple[Machine, ...], pictures: object
) -> None:
    able = [machine for machine in machines if machine.able]
    writers = [machine for machine in able if machine.exact or machines is ALL]  # torch is slow to start
    files = encoded(writers, pictures(), tmp_path)  # type: ignore[operator]
    files += [golden(tmp_path)] if machines is ALL else []
    expected: Arrays = {}
    for machine in able:
        play(machine, "decode", tmp_path / "decoded.npz", *files)
        with np.load(tmp_path / "decoded.npz") as stored:
            found = dict(stored)
        expected = expected or found  # the first is an exact one
        assert found.keys() == expected.keys()
        for name, array in found.items():
            off = int(np.abs(array.astype(int) - expected[name].astype(int)).max())
            allowed = 0 if machine.exact or name.endswith("latents") else 1
            assert off <= allowed, f"{name} on {machine.name} is {off} off"
