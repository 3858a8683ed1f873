"""The rows of a rate-distortion run, their JSON file, and their means."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from caecodec.bench.metrics import metrics
from caecodec.bench.metrics.bdrate import Curve, curve
from caecodec.bench.metrics.metrics import PSNR, Metric
from caecodec.errors import FileSystemError, UsageError
from caecodec.files.writing import make_folder, write_atomically

FORMAT = 2
KIND = "rd"  # of results: there are other files of the same format
_READ = (1, FORMAT)  # 1 had no kind, and no metric but PSNR
_STORED = {metric.key: metric.stored for metric in metrics.METRICS}  # field of a row -> its name in the file


@dataclass(frozen=True, slots=True)
class Row:
    """One picture by one codec at one quality. A failure has an `error` and no measurements.

    A metric is None where it was not asked for, or the picture is too small for it, or it was measured by another
    implementation than today's (`Metric.stored`).
    """

    codec: str
    version: str
    quality: int
    picture: str
    width: int
    height: int
    bytes: int | None = None
    psnr: float | None = None  # dB; inf is a lossless picture, null in JSON
    mse: float | None = None
    error: str | None = None
    ssim: float | None = None
    ms_ssim: float | None = None
    ssimulacra2: float | None = None
    parts: Mapping[str, int] | None = field(default=None, hash=False)  # bytes by part, where known; they sum to `bytes`
    encode_s: float | None = None  # that one call, in a process of one thread that is warm

    @property
    def key(self) -> tuple[str, int, str]:
        return self.codec, self.quality, self.picture

    @property
    def bpp(self) -> float:
        """Bits per pixel. Raises ValueError for a failure."""
        if self.bytes is None:
            raise ValueError(f"{self.key} failed: {self.error}")
        return metrics.bpp(self.bytes, self.width, self.height)

    @property
    def raw_bytes(self) -> int:
        """Of 24-bit RGB."""
        return 3 * self.width * self.height

    def lacks(self, asked: Iterable[str]) -> bool:
        """Whether a metric of these (`metrics.ASKABLE`) is missing that the picture is large enough for."""
        return any(getattr(self, name) is None and metrics.defined(name, self.width, self.height) for name in asked)

    @property
    def point(self) -> tuple[float, float]:
        """(bpp, PSNR)."""
        return self.bpp, math.inf if self.psnr is None else self.psnr


@dataclass(slots=True)
class Results:
    """A results file. `pictures` maps a name to the start of the SHA-256 of its pixels."""

    environment: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)  # codec -> why it could not be measured
    rows: list[Row] = field(default_factory=list)

    @property
    def failures(self) -> list[Row]:
        return [row for row in self.rows if row.error is not None]

    @property
    def codecs(self) -> list[str]:
        """Names in the order of their first rows."""
        return list(dict.fromkeys(row.codec for row in self.rows))

    def by_picture(self, codec: str) -> dict[str, list[Row]]:
        """The rows of one codec that did not fail, for each picture, by rising quality."""
        found: dict[str, list[Row]] = {}
        rows = (row for row in self.rows if row.codec == codec and row.error is None)
        for row in sorted(rows, key=lambda r: (r.picture, r.quality)):
            found.setdefault(row.picture, []).append(row)
        return found

    def complete(self, codec: str) -> set[str]:
        """Pictures measured at every quality of the codec: the ones whose mean is of the same thing throughout."""
        qualities = {row.quality for row in self.rows if row.codec == codec}
        return {p for p, rows in self.by_picture(codec).items() if {r.quality for r in rows} == qualities}

    def mean_points(self, codec: str, pictures: Container[str]) -> list[MeanPoint]:
        """Means of each quality over `pictures`, by rising quality."""
        by_quality: dict[int, list[Row]] = {}
        for picture, rows in self.by_picture(codec).items():
            if picture in pictures:
                for row in rows:
                    by_quality.setdefault(row.quality, []).append(row)
        return [_mean_point(quality, rows) for quality, rows in sorted(by_quality.items())]

    def mean_curve(self, codec: str, pictures: Container[str], metric: Metric = PSNR) -> Curve:
        """The curve through `mean_points`, of levels of the mean values: of qualities that no picture lacks it at."""
        return curve_of(self.mean_points(codec, pictures), metric)

    def named(self, codecs: Iterable[str] | None) -> list[str]:
        """The codecs, or all of them for None. Raises UsageError for one without rows."""
        chosen = self.codecs if codecs is None else list(codecs)
        unknown = [codec for codec in chosen if codec not in self.codecs]
        if unknown:
            raise UsageError(f"no rows of {', '.join(unknown)}; there are {', '.join(self.codecs)}")
        return chosen


@dataclass(frozen=True, slots=True)
class MeanPoint:
    """One quality, averaged over pictures. A metric that one of them lacks is None.

    compression_rate and ratio are of all bytes against all raw bytes; the others are means of the pictures' own.
    """

    quality: int
    bpp: float
    psnr: float
    bytes: float
    compression_rate: float
    ratio: float
    rmse: float
    ssim: float | None
    ms_ssim: float | None
    ssimulacra2: float | None
    parts: Mapping[str, float] | None = field(hash=False)


def curve_of(points: Iterable[Row | MeanPoint], metric: Metric = PSNR) -> Curve:
    """The curve through those of the points that have the metric."""
    levels = ((point.bpp, metric.level(getattr(point, metric.key))) for point in points)
    return curve((bpp, level) for bpp, level in levels if level is not None)


def _mean_point(quality: int, rows: Sequence[Row]) -> MeanPoint:
    raw, size = sum(row.raw_bytes for row in rows), sum(row.bytes or 0 for row in rows)
    parts = [row.parts for row in rows if row.parts is not None]
    names = dict.fromkeys(name for of_row in parts for name in of_row)
    return MeanPoint(
        quality=quality,
        bpp=sum(row.bpp for row in rows) / len(rows),
        psnr=sum(row.point[1] for row in rows) / len(rows),
        bytes=size / len(rows),
        compression_rate=1 - size / raw,
        ratio=raw / size,
        rmse=sum(math.sqrt(row.mse or 0) for row in rows) / len(rows),
        ssim=_mean([row.ssim for row in rows]),
        ms_ssim=_mean([row.ms_ssim for row in rows]),
        ssimulacra2=_mean([row.ssimulacra2 for row in rows]),
        parts={n: sum(p.get(n, 0) for p in parts) / len(rows) for n in names} if len(parts) == len(rows) else None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if len(there) == len(values) else None


def load_rd(path: Path) -> Results:
    """Read a results file. Raises FileSystemError, or UsageError where it is not one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] not in _READ or document.get("kind", KIND) != KIND:
            found = f"{document.get('kind', '')} format {document['format']}".strip()
            raise UsageError(f"{path}: results of {found}, not {KIND} format {FORMAT}")
        rows = [_row(values) for values in document["rows"]]
        return Results(document["environment"], document["pictures"], document["unavailable"], rows)
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: not a results file ({exc})") from exc


def save_rd(results: Results, path: Path) -> None:
    """Write a results file, one row a line; it appears whole or not at all. Raises FileSystemError."""
    head = {
        "format": FORMAT,
        "kind": KIND,
        "environment": results.environment,
        "pictures": results.pictures,
        "unavailable": results.unavailable,
    }
    rows = ",\n".join(json.dumps(_values(row), allow_nan=False, separators=(",", ":")) for row in results.rows)
    text = f'{json.dumps(head, indent=1)[:-2]},\n "rows": [\n{rows}\n]}}\n'
    make_folder(path.parent)
    write_atomically(str(path), text.encode(), overwrite=True)


def _values(row: Row) -> Mapping[str, Any]:
    values = {_STORED.get(key, key): value for key, value in asdict(row).items() if value is not None}
    if row.error is None and row.psnr in (None, math.inf):
        values["psnr"] = None
    return values


def _row(values: Mapping[str, Any]) -> Row:
    known = {_STORED.get(f.name, f.name): f.name for f in fields(Row)}
    row = {known[key]: value for key, value in values.items() if key in known}
    if row.get("error") is None and row["psnr"] is None:
        row["psnr"] = math.inf
    return Row(**row)
