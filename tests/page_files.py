"""Results files as the commands write them, small and made up, for the tests of the report page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from caecodec.bench.rd.results import Results, Row, save_rd
from caecodec.bench.timing.results import Aim, BatchRow, GrowthResults, SizeRow, SpeedResults, SpeedRow, save_timings

EVIL = "</script><b>&\"'"
QUALITIES = {1: 26.0, 20: 29.0, 40: 32.0, 60: 35.0, 80: 38.0}
FACTORS = {"jpeg": 1.0, "webp": 0.8, "caecodec": 0.5}
ENVIRONMENT = {
    "cpu": "a processor",
    "system": "Linux x86_64",
    "date": "2026-01-02T03:04:05+00:00",
    "commit": "abc1234",
    "packages": {"caecodec": "0.1.0"},
}


def _row(codec: str, quality: int, picture: str, size: int, psnr: float) -> Row:
    parts = None
    if codec == "caecodec":
        parts = {"header": 20, "hyper": size // 10, "latents": size - 20 - size // 10}
    scores = {"ssim": 1 - 2 / psnr**1.5, "ms_ssim": 1 - 1 / psnr**1.6}
    return Row(codec, f"{codec} 1", quality, picture, 100, 80, size, psnr, 1.5, None, **scores, parts=parts)


def rd_results(*pictures: str) -> Results:
    """Three codecs with the same PSNRs and sizes in fixed proportions; webp fails once on the last picture."""
    names = pictures or ("a", "b", EVIL)
    rows = [
        _row(codec, quality, picture, round(factor * (1 + place) * 500 * 10 ** ((psnr - 26) / 10)), psnr)
        for codec, factor in FACTORS.items()
        for place, picture in enumerate(names)
        for quality, psnr in QUALITIES.items()
    ]
    failed = next(n for n, r in enumerate(rows) if (r.codec, r.quality, r.picture) == ("webp", 40, names[-1]))
    rows[failed] = Row("webp", "webp 1", 40, names[-1], 100, 80, error=f"OSError: {EVIL}")
    return Results(ENVIRONMENT, dict.fromkeys(names, "0123"), {"vvc": f"ImportError: {EVIL}"}, rows)


def speed_results() -> SpeedResults:
    """Two codecs that worked and one that did not."""
    measured = {"encode_mp_s": (1.0, 1.2, 1.1), "decode_mp_s": (2.0, 2.4, 2.2)}
    memory = {"encode_peak_mib": 300.4, "decode_peak_mib": 290.0}
    cold = {"cold_encode_s": (1.5, 1.6), "cold_decode_s": (1.4, 1.7)}
    return SpeedResults(
        Aim(bpp=0.75),
        2,
        3,
        ENVIRONMENT,
        {"a": "0123"},
        0.4,
        {"name": "a", "width": 768, "height": 512, "megapixels": 0.39},
        references={"python": (0.02, 0.03)},
        codecs=[
            SpeedRow("caecodec", "1", "now", 50, 2, 0.75, 34.0, **measured, **memory, **cold),
            SpeedRow("jpeg", "1", "now", 75, 1, 0.74, 33.0, (80.0, 90.0), (100.0, 110.0), **memory, **cold),
            SpeedRow("heic-444", "1", "now", error=f"OSError: {EVIL}"),
        ],
    )


def growth_results() -> GrowthResults:
    """Times of caecodec that grow as the pixels do."""
    shapes = {0.1: (384, 256), 2.0: (1732, 1155), 12.0: (4243, 2828), 24.0: (6000, 4000)}
    sizes = [
        SizeRow("caecodec", "1", 50, w, h, w * h / 1e6, (w * h / 1e6, 1.1 * w * h / 1e6), (0.5 * mp,), 50 * mp, 40 * mp)
        for mp, (w, h) in shapes.items()
    ]
    batches = [BatchRow("caecodec", "1", 50, n, 0.4 * n, (1 + 0.4 * n,), (1 + 0.2 * n,), 300.0, 290.0) for n in (1, 10)]
    return GrowthResults(Aim(quality=50), 2, 2, ENVIRONMENT, {"a": "0123"}, sizes=sizes, batches=batches)


def written(folder: Path) -> list[Path]:
    """The three files."""
    paths = [folder / name for name in ("rd.json", "speed.json", "growth.json")]
    save_rd(rd_results(), paths[0])
    save_timings(speed_results(), paths[1])
    save_timings(growth_results(), paths[2])
    return paths


def data_of(html: str) -> Any:
    """The JSON that a page holds."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def text_of(cell: Any) -> str:
    """What a cell shows."""
    return str(cell["t"] if isinstance(cell, dict) else cell)
