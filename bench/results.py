"""The rows of a run, their JSON file, and their mean curves."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from caecodec.bench import metrics
from caecodec.bench.bdrate import Curve, curve
from caecodec.errors import FileSystemError, UsageError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One picture by one codec at one quality. A failure has an `error` and no measurements."""

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
        for row in sorted(self.rows, key=lambda r: (r.picture, r.quality)):
            if row.codec == codec and row.error is None:
                found.setdefault(row.picture, []).append(row)
        return found

    def complete(self, codec: str) -> set[str]:
        """Pictures measured at every quality of the codec: the ones whose mean is of the same thing throughout."""
        qualities = {row.quality for row in self.rows if row.codec == codec}
        return {p for p, rows in self.by_picture(codec).items() if {r.quality for r in rows} == qualities}

    def mean_points(self, codec: str, pictures: set[str]) -> list[MeanPoint]:
        """Mean bpp and mean PSNR of each quality over `pictures`, by rising quality."""
        by_quality: dict[int, list[tuple[float, float]]] = {}
        for picture, rows in self.by_picture(codec).items():
            if picture in pictures:
                for row in rows:
                    by_quality.setdefault(row.quality, []).append(row.point)
        return [
            MeanPoint(q, sum(r for r, _ in points) / len(points), sum(p for _, p in points) / len(points))
            for q, points in sorted(by_quality.items())
        ]

    def mean_curve(self, codec: str, pictures: set[str]) -> Curve:
        """The curve through `mean_points`."""
        return curve((point.bpp, point.psnr) for point in self.mean_points(codec, pictures))


@dataclass(frozen=True, slots=True)
class MeanPoint:
    """One quality, averaged over pictures."""

    quality: int
    bpp: float
    psnr: float


def load(path: Path) -> Results:
    """Read a results file. Raises FileSystemError, or UsageError where it is not one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise UsageError(f"{path}: results of format {document['format']}, not {FORMAT}")
        rows = [_row(values) for values in document["rows"]]
        return Results(document["environment"], document["pictures"], document["unavailable"], rows)
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: not a results file ({exc})") from exc


def save(results: Results, path: Path) -> None:
    """Write a results file, one row a line; it appears whole or not at all. Raises FileSystemError."""
    head = {
        "format": FORMAT,
        "environment": results.environment,
        "pictures": results.pictures,
        "unavailable": results.unavailable,
    }
    rows = ",\n".join(json.dumps(_values(row), allow_nan=False, separators=(",", ":")) for row in results.rows)
    text = f'{json.dumps(head, indent=1)[:-2]},\n "rows": [\n{rows}\n]}}\n'
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise FileSystemError(f"cannot write {path}: {exc.strerror}") from exc


def _values(row: Row) -> Mapping[str, Any]:
    values = asdict(row)
    if row.error is None:
        del values["error"]
        values["psnr"] = None if row.psnr == math.inf else row.psnr
        return values
    return {key: value for key, value in values.items() if value is not None}


def _row(values: Mapping[str, Any]) -> Row:
    known = {f.name for f in fields(Row)}
    row = {key: value for key, value in values.items() if key in known}
    if row.get("error") is None and row["psnr"] is None:
        row["psnr"] = math.inf
    return Row(**row)
