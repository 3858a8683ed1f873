"""Pictures that every machine codes, and files that every one reads: for tests/determinism."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support import opened, photograph

Arrays = dict[str, NDArray[np.uint8]]
HERE = Path(__file__).parent
SAMPLE = HERE / "data" / "photo.png"
KODAK = Path(os.environ.get("CAECODEC_TEST_KODAK", HERE.parents[1] / "shared" / "kodak"))
EXACT_GOLDEN = {line.split()[1] for line in (HERE / "golden/v2/pixels.sha256").read_text().splitlines()}
ODD = ((1, 1), (1, 16), (17, 1), (15, 33), (63, 65), (255, 97), (9, 1023), (1025, 1023))
LARGE = "photo-1025x1023"  # numpy takes minutes to read it, so one file of it is enough
TINY = ((32, 32), (64, 64), (17, 40), (5, 9), (1, 1))


def few_pictures() -> Arrays:
    """MODEL-... -> samples."""
    return {
        "photo-47x33": photograph(33, 47),
        "photo-1x1": photograph(1, 1, seed=1),
        "tiny-17x40": photograph(40, 17, seed=2),
        "tiny-gray": photograph(28, 28)[..., 0],
        "lossless-stripes": np.tile(np.arange(9, dtype=np.uint8)[:, None, None] * 20, (4, 50, 3)),
    }


def many_pictures() -> Arrays:
    """As above: twelve photographs, and everything else that is odd."""
    found = few_pictures() | photographs()
    found |= {f"photo-{w}x{h}": photograph(h, w, seed=w) for w, h in ODD}
    found |= {f"tiny-{w}x{h}": photograph(h, w, seed=w) for w, h in TINY}
    found["photo-gray"] = photograph(40, 72, seed=3)[..., 0]
    found["photo-noise"] = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    found["lossless-noise"] = found["photo-noise"][:20]
    return found


def photographs() -> Arrays:
    """Crops of twelve photographs of the Kodak set where it is there, else of the one that is in the tests."""
    pictures = sorted(KODAK.glob("*.png"))[:12] or [SAMPLE] * 12
    found = {}
    for number, path in enumerate(pictures):
        whole = np.asarray(opened(path).convert("RGB"))
        top, left = 30 * number, 25 * number
        found[f"photo-{path.stem}-{number}"] = whole[top : top + 128, left : left + 176]
    return found


def golden(out: Path) -> Path:
    """A folder of the golden files whose pixels are exact."""
    folder = out / "golden"
    folder.mkdir()
    for name in EXACT_GOLDEN:
        (folder / f"{name}.cae").write_bytes((HERE / "golden/v2" / f"{name}.cae").read_bytes())
    return folder
