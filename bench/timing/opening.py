"""How long it takes to look at a large file: a thumbnail, a part and all of it, beside other formats, by Pillow.

`python -m caecodec.bench.timing.opening PICTURE... [--megapixels 12] [--rounds 3] [--threads 2]` prints a table. Each
figure is a whole new process, start-up included, as a file manager would start it; codecs take turns.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from caecodec.bench.pictures import load_pixels
from caecodec.bench.table import Table
from caecodec.bench.timing.mosaic import mosaic, sides
from caecodec.bench.timing.processes import COMMAND, ChildError, Ran, run_command

# name -> suffix, what has to be imported, options of `save`
FORMATS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "jpeg": (".jpg", "", {"quality": 75}),
    "webp": (".webp", "", {"quality": 75}),
    "avif": (".avif", "", {"quality": 60, "speed": 8}),
    "jxl": (".jxl", "import pillow_jxl", {"quality": 75}),
    "caecodec": (".cae", "import caecodec.plugins.pillow", {"quality": 75}),
}
SIDE = 256  # of a thumbnail
PART = 512  # of a region
_START = "from PIL import Image\nImage.MAX_IMAGE_PIXELS = None\n"


def jobs(name: str, path: str, out: str) -> dict[str, list[str]]:
    """What is timed -> command."""
    _, needs, _ = FORMATS[name]
    python = [sys.executable, "-c"]
    start = f"{needs}\n{_START}image = Image.open({path!r})\n"
    box = f"(image.width // 2, image.height // 2, image.width // 2 + {PART}, image.height // 2 + {PART})"
    found = {
        "thumbnail": [*python, f"{start}image.thumbnail(({SIDE}, {SIDE}))\nimage.save({out + '.png'!r})"],
        "part": [*python, f"{start}image.crop({box}).save({out + '.ppm'!r})"],
        "whole": [*python, f"{start}image.convert('RGB').save({out + '.ppm'!r})"],
    }
    if name == "caecodec":
        found["thumbnail"] = [*COMMAND, "thumbnail", path, out + ".png", "-f", "--size", str(SIDE)]
        left, top = (f"{side} // 2" for side in ("f.width", "f.height"))
        region = f"({left}, {top}, {left} + {PART}, {top} + {PART})"
        program = f"import caecodec\nf = caecodec.info({path!r})\ncaecodec.decode({path!r}, region={region})"
        found["part"] = [*python, f"{program}.save({out + '.ppm'!r})"]
        found["whole"] = [*COMMAND, "decode", path, "-o", out + ".ppm", "-f", "--quiet"]
    return found


def measure(pictures: Sequence[Path], megapixels: float, rounds: int, threads: int) -> Table:
    """Seconds and memory of every format that can be written here."""
    photos = [load_pixels(path) for path in pictures]
    image = Image.fromarray(mosaic(photos, *sides(megapixels)))
    with tempfile.TemporaryDirectory() as folder:
        files = {name: path for name in FORMATS if (path := _saved(image, name, Path(folder))) is not None}
        ran: dict[tuple[str, str], list[Ran]] = {}
        for _ in range(rounds):
            for name, path in files.items():
                for job, command in jobs(name, str(path), str(Path(folder, "out"))).items():
                    ran.setdefault((name, job), []).append(run_command(command, threads))
        return _table(image, {name: path.stat().st_size for name, path in files.items()}, ran)


def _saved(image: Image.Image, name: str, folder: Path) -> Path | None:
    """A file of the picture, made in a process of its own; None where the format is not there."""
    suffix, needs, options = FORMATS[name]
    source, path = folder / "source.npy", folder / f"picture{suffix}"
    if not source.exists():
        np.save(source, np.asarray(image))
    load = f"image = Image.fromarray(numpy.load({str(source)!r}))"
    program = f"{needs}\n{_START}import numpy\n{load}\nimage.save({str(path)!r}, **{options!r})"
    try:
        run_command([sys.executable, "-c", program], 2)
    except ChildError:
        return None
    return path


def _table(image: Image.Image, sizes: Mapping[str, int], ran: Mapping[tuple[str, str], Sequence[Ran]]) -> Table:
    names = {"thumbnail": f"thumbnail of {SIDE}", "part": f"part of {PART}x{PART}", "whole": "whole, to PPM"}
    columns = (f"{image.width}x{image.height}", "bytes", *names.values())
    rows = [(name, f"{size:,}", *(_shown(ran[name, job]) for job in names)) for name, size in sizes.items()]
    return Table(
        columns, tuple(rows), ("Seconds of a new process, the median of its runs, and the most memory it held.",)
    )


def _shown(runs: Sequence[Ran]) -> str:
    return f"{statistics.median(r.seconds for r in runs):.2f} s, {max(r.peak_mib for r in runs):.0f} MiB"


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print(measure(options.pictures, options.megapixels, options.rounds, options.threads).markdown())


if __name__ == "__main__":
    main()
