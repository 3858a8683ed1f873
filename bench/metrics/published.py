"""Rate-distortion curves that others published, each with its source: shown beside what is measured, marked, apart.

They are means over the 24 Kodak pictures, as figures in papers and repositories have them. What was measured there, and
how, is theirs: a curve is comparable with measured ones of the same pictures, and of nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from caecodec.bench.metrics import bdrate
from caecodec.bench.metrics.metrics import PSNR, Metric
from caecodec.errors import FileSystemError, UsageError

KODAK = frozenset(f"kodim{number:02}" for number in range(1, 25))
_MEASURED = "run-"
FILE = Path(__file__).parents[1] / "anchors" / "kodak_rd.json"


@dataclass(frozen=True, slots=True)
class Published:
    """One curve: mean bpp, mean PSNR-RGB in dB and, where they gave it, mean MS-SSIM of each of its points."""

    name: str
    source: str
    bpp: tuple[float, ...]
    psnr: tuple[float, ...]
    ms_ssim: tuple[float, ...] | None = None

    @property
    def label(self) -> str:
        """The name as tables have it."""
        return f"{self.name} (published)"

    def curve(self, metric: Metric = PSNR) -> bdrate.Curve:
        """By a metric; empty where they did not give it."""
        given = {"psnr": self.psnr, "ms_ssim": self.ms_ssim}.get(metric.key)
        points = () if given is None else zip(self.bpp, map(metric.level, given), strict=True)
        return bdrate.curve((bpp, level) for bpp, level in points if level is not None)


def load_curves(path: Path = FILE) -> dict[str, Published]:
    """Name -> curve. Raises FileSystemError, or UsageError where the file is none of curves.

    The file: {name: {"source": text, "bpp": [...], "psnr": [...], "msssim": [...] or absent}}. Names that begin with
    "run-" are somebody's measurements, not published: they are left out, as are curves without PSNR.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: _published(name, values)
            for name, values in document.items()
            if not name.startswith(_MEASURED) and None not in values["psnr"]
        }
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except (KeyError, TypeError, AttributeError, ValueError) as exc:  # ValueError: no JSON, no text, lists that differ
        raise UsageError(f"{path}: not a file of published curves ({exc})") from exc


def select(names: Iterable[str], pictures: Iterable[str], path: Path = FILE) -> list[Published]:
    """The curves of these names, to go beside measurements of these pictures.

    Raises UsageError for an unknown name, or where the pictures are not the 24 of Kodak.
    """
    wanted = list(dict.fromkeys(names))
    if wanted and not fits(pictures):
        raise UsageError("the published curves are means over kodim01 to kodim24: these are other pictures")
    curves = load_curves(path) if wanted else {}
    unknown = [name for name in wanted if name not in curves]
    if unknown:
        raise UsageError(f"no published curve {', '.join(unknown)}; choose from {', '.join(curves)}")
    return [curves[name] for name in wanted]


def fits(pictures: Iterable[str]) -> bool:
    """Whether measurements of these pictures may be shown beside the curves."""
    return set(pictures) == KODAK


def _published(name: str, values: Mapping[str, list[float]]) -> Published:
    bpp, psnr = (tuple(float(value) for value in values[key]) for key in ("bpp", "psnr"))
    ms_ssim = tuple(float(value) for value in values["msssim"]) if "msssim" in values else None
    if len(bpp) != len(psnr) or (ms_ssim is not None and len(bpp) != len(ms_ssim)):
        raise ValueError(f"{name} has lists of different lengths")
    return Published(name, str(values["source"]), bpp, psnr, ms_ssim)
