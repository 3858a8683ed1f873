"""The file of `bench small`: what sources say of the models, what was measured of them, and its JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from caecodec.bench.metrics import bdrate
from caecodec.bench.table import NOTHING
from caecodec.errors import FileSystemError, UsageError
from caecodec.files.writing import make_folder, write_atomically

FORMAT = "small 1"
OURS = "tiny"
SEARCHED = "tiny@6"  # the same model with an effort that searches: on ASKED_SET alone, and asked for less
SEARCHED_PSNR = (27.7, 36.0)
ASKED_SET, ASKED_BYTES, ASKED_PSNR = "cifar10", (100.0, 400.0, 512.0), (27.7, 36.0, 38.0)  # of tiny
NOT_AT_HAND = "not at hand"


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """What the source of an autoencoder says, and what its codec must reach."""

    set: str
    quality: str = "no number"
    rate: str = "no number"
    target: float | None = None  # dB; None: as drawn less DRAWN_MARGIN


MODELS: Mapping[str, PublishedModel] = {
    "cifar10": PublishedModel("cifar10", "test MSE 0.001893, PSNR ~27.7 dB", target=27.7),
    "cifar100": PublishedModel("cifar100", "PSNR 23.65 dB", "83.33 % (128 float32 against 3,072 bytes)", 23.65),
    "cifar10-dense": PublishedModel("cifar10", rate='"notable compression", no number'),
    "fashion-mnist": PublishedModel("fashion-mnist", "silhouettes kept, details smoothed"),
    "mnist": PublishedModel("mnist", "qualitative only"),
    "mnist-fixed": PublishedModel("mnist", "our variant: no places sent", NOTHING),
}


@dataclass(frozen=True, slots=True)
class SmallRow:
    """Means over the pictures of a set, by one codec at one quality.

    kind: 'curve'; 'operating', on the whole set at `asked_psnr`, the model's target; 'asked', on the whole set, what
    tiny gives for `asked_psnr` or `asked_bytes`; 'drawn', an autoencoder as its authors drew it, whose `bytes` are its
    latents as float32 and the unpooling places at 2 bits.
    """

    kind: str
    codec: str
    set: str
    pictures: int
    psnr: float  # dB
    mse: float  # of samples in 0..1
    ssim: float
    quality: int | None = None
    bytes: float | None = None
    stripped: float | None = None  # bytes without what many files could share
    asked_psnr: float | None = None
    asked_bytes: float | None = None

    @property
    def rmse(self) -> float:
        """Root of the mean MSE."""
        return math.sqrt(self.mse)


@dataclass(slots=True)
class SmallResults:
    """A results file. `sets`: size and shape of each; `codecs`: model ids and versions of libraries."""

    environment: dict[str, Any] = field(default_factory=dict)
    codecs: dict[str, str] = field(default_factory=dict)
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: list[SmallRow] = field(default_factory=list)

    def of(self, kind: str, codec: str, small_set: str) -> list[SmallRow]:
        """Rows by rising quality."""
        found = [r for r in self.rows if (r.kind, r.codec, r.set) == (kind, codec, small_set)]
        return sorted(found, key=lambda row: row.quality or 0)

    def curve(self, codec: str, small_set: str, *, stripped: bool = False) -> bdrate.Curve:
        """Bytes a picture against PSNR."""
        rows = self.of("curve", codec, small_set)
        sizes = ((row.stripped if stripped else row.bytes, row.psnr) for row in rows)
        return bdrate.curve((size, psnr) for size, psnr in sizes if size)

    def samples(self, small_set: str) -> int:
        """Bytes of a raw picture."""
        return math.prod(self.sets[small_set]["shape"])


def save_small(results: SmallResults, path: Path) -> None:
    """Write a results file, one row a line. Raises FileSystemError."""
    rows = []
    for row in results.rows:
        values = {k: v for k, v in (asdict(row) | {"rmse": row.rmse}).items() if v is not None}
        rounded = {k: float(f"{v:.7g}") if isinstance(v, float) else v for k, v in values.items()}
        rows.append(json.dumps(rounded, allow_nan=False, separators=(",", ":")))
    head = {
        "format": FORMAT,
        "environment": results.environment,
        "codecs": results.codecs,
        "sets": results.sets,
    }
    text = f'{json.dumps(head, indent=1)[:-2]},\n "rows": [\n' + ",\n".join(rows) + "\n]}\n"
    make_folder(path.parent)
    write_atomically(str(path), text.encode(), overwrite=True)


def load_small(path: Path) -> SmallResults:
    """Read a results file. Raises FileSystemError, or UsageError where it is not one."""
    known = {f.name for f in fields(SmallRow)}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise UsageError(f"{path}: results of format {document['format']}, not {FORMAT}")
        rows = [SmallRow(**{k: v for k, v in values.items() if k in known}) for values in document["rows"]]
        return SmallResults(document["environment"], document["codecs"], document["sets"], rows)
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: not a results file of small pictures ({exc})") from exc
