"""The autoencoders of the literature and `tiny` on whole test sets of tiny pictures, beside JPEG and WebP.

Every byte of a file counts. PSNR is the mean of pictures, and an identical picture counts as `PSNR_CAP`. Results hold
plain rows; whatever compares two codecs is computed from them when a table is made.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caecodec.bench.codecs import registry
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.environment import environment
from caecodec.bench.metrics import bdrate
from caecodec.bench.table import NOTHING
from caecodec.codecs.codec import Codec
from caecodec.codecs.opening import open_codec
from caecodec.errors import FileSystemError, UsageError
from caecodec.files.jobs import make_folder, write_atomically
from caecodec.format import container
from caecodec.models.data import datasets
from caecodec.models.export.model_file import load_checkpoint
from caecodec.models.networks.autoencoder import AutoencoderModel
from caecodec.models.training import losses
from caecodec.pictures import picture as pixels
from caecodec.zoo import find

Pixels = NDArray[np.uint8]  # (P, H, W, C), C = 1 or 3
FORMAT = "small 1"
PSNR_CAP = 100.0  # dB, for an identical picture; one wrong sample of 32x32x3 gives 83
MARGIN = 0.05  # dB above the target on the curve's pictures, so that the whole set seldom falls below it
DRAWN_MARGIN = 0.3  # dB that a codec may lose to the autoencoder as drawn, where nobody published a figure
WITHOUT_TARGET = 50  # quality, where there is no as-drawn run to compare with
OURS = "tiny"
ASKED_SET, ASKED_BYTES, ASKED_PSNR = "cifar10", (100.0, 400.0, 512.0), (27.7, 36.0, 38.0)  # of tiny
NOT_AT_HAND = "not at hand"
_BATCH = 250
_GRID = (1, *range(10, 101, 10))
_HIGHEST = 100


@dataclass(frozen=True, slots=True)
class Published:
    """What the source of an autoencoder says, and what its codec must reach."""

    set: str
    quality: str = "no number"
    rate: str = "no number"
    target: float | None = None  # dB; None: as drawn less DRAWN_MARGIN


MODELS: Mapping[str, Published] = {
    "cifar10": Published("cifar10", "test MSE 0.001893, PSNR ~27.7 dB", target=27.7),
    "cifar100": Published("cifar100", "PSNR 23.65 dB", "83.33 % (128 float32 against 3,072 bytes)", 23.65),
    "cifar10-dense": Published("cifar10", rate='"notable compression", no number'),
    "fashion-mnist": Published("fashion-mnist", "silhouettes kept, details smoothed"),
    "mnist": Published("mnist", "qualitative only"),
    "mnist-fixed": Published("mnist", "our variant: no places sent", NOTHING),
}


@dataclass(frozen=True, slots=True)
class Row:
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
    rows: list[Row] = field(default_factory=list)

    def of(self, kind: str, codec: str, small_set: str) -> list[Row]:
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


class SmallCodec(Protocol):
    """A codec of many pictures at once."""

    @property
    def name(self) -> str: ...

    @property
    def qualities(self) -> tuple[int, ...]:
        """The grid of its curve, from the smallest file to the largest."""
        ...

    @property
    def strip(self) -> Callable[[bytes], int] | None:
        """A whole file -> how many of its bytes other files could not share."""
        ...

    def encode(self, pictures: Pixels, quality: int) -> list[bytes]: ...

    def decode(self, files: Sequence[bytes]) -> Pixels: ...


class Learned:
    """A model of caecodec, by its files."""

    qualities = _GRID
    strip = None

    def __init__(self, name: str, codec: Codec) -> None:
        self.name, self._codec = name, codec

    def encode(self, pictures: Pixels, quality: int) -> list[bytes]:
        return self._codec.encode_many([pixels.from_array(picture) for picture in pictures], quality)

    def decode(self, files: Sequence[bytes]) -> Pixels:
        decoded = self._codec.decode_many([container.parse(file) for file in files])
        return np.stack([d.colour[..., None] if d.gray else d.colour for d in decoded])


class Library:
    """A codec of Pillow. Gray pictures go in as one channel; of WebP, which has none, the mean of three comes back."""

    def __init__(
        self, name: str, codec: BenchCodec, qualities: tuple[int, ...], strip: Callable[[bytes], int], gray: bool
    ) -> None:
        self.name, self.qualities, self.strip = name, qualities, strip
        self._codec, self._gray = codec, gray

    def encode(self, pictures: Pixels, quality: int) -> list[bytes]:
        return [self._codec.encode(p[..., 0] if self._gray else p, quality) for p in pictures]

    def decode(self, files: Sequence[bytes]) -> Pixels:
        decoded = np.stack([self._codec.decode(file) for file in files])
        if not self._gray:
            return decoded
        gray: Pixels = ((decoded.sum(axis=3, keepdims=True, dtype=np.uint16) + 1) // 3).astype(np.uint8)
        return gray


_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)  # not a stuffed FF, a restart or a fill byte


def jpeg_scan_bytes(data: bytes) -> int:
    """Bytes of entropy-coded data in a JPEG file: all but its tables and headers. Raises ValueError."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("not a JPEG file")
    position, total = 2, 0
    while data[position : position + 2] != b"\xff\xd9":
        if position + 4 > len(data) or data[position] != 0xFF:
            raise ValueError("not a whole JPEG file")
        scan = data[position + 1] == 0xDA
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if scan:
            end = _NEXT_MARKER.search(data, position)
            if end is None:
                raise ValueError("not a whole JPEG file")
            total += end.start() - position
            position = end.start()
    return total


def webp_payload_bytes(data: bytes) -> int:
    """Bytes of a lossy WebP file but for the headers of RIFF and of its one chunk. Raises ValueError."""
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8 ":
        raise ValueError("not a WebP file of one lossy chunk")
    return len(data) - 20


LIBRARIES: Mapping[str, tuple[str, tuple[int, ...], Callable[[bytes], int]]] = {
    "jpeg": ("jpeg", (1, *range(3, 96, 4)), jpeg_scan_bytes),  # Pillow's defaults: 4:2:0
    "webp": ("webp-6", (0, 5, *range(10, 101, 10)), webp_payload_bytes),
}


def unit(pictures: Pixels) -> Tensor:
    """(P, H, W, C) uint8 -> (P, C, H, W) in [0, 1], channels_last."""
    return torch.from_numpy(np.require(pictures, requirements=("C", "W"))).permute(0, 3, 1, 2).float() / 255


def _scores(x_hat: Tensor, x: Tensor) -> NDArray[np.float64]:
    """(P, C, H, W) in [0, 1] -> sums over pictures of PSNR, MSE and SSIM, (3,)."""
    mse = losses.mse_255(x_hat, x).double()
    psnr = losses.psnr(mse).clamp_max(PSNR_CAP)
    sums: NDArray[np.float64] = torch.stack((psnr, mse / 255**2, losses.ssim(x_hat, x).double())).sum(1).numpy()
    return sums


def measure(codec: SmallCodec, small_set: str, pictures: Pixels, quality: int) -> Row:
    """Encode, decode the files and compare."""
    sums, size, stripped = np.zeros(3), 0, 0
    for start in range(0, len(pictures), _BATCH):
        part = pictures[start : start + _BATCH]
        files = codec.encode(part, quality)
        sums += _scores(unit(codec.decode(files)), unit(part))
        size += sum(map(len, files))
        stripped += sum(map(codec.strip, files)) if codec.strip else 0
    count = len(pictures)
    row = _row("curve", codec.name, small_set, count, sums)
    return replace(row, quality=quality, bytes=size / count, stripped=stripped / count if codec.strip else None)


def _row(kind: str, codec: str, small_set: str, count: int, sums: NDArray[np.float64]) -> Row:
    psnr, mse, ssim = (float(value) / count for value in sums)
    return Row(kind, codec, small_set, count, psnr, mse, ssim)


def measure_drawn(checkpoint: Path, name: str, small_set: str, pictures: Pixels) -> Row | None:
    """An autoencoder as drawn, its output clamped and not rounded; None without a file. Raises UsageError."""
    if not checkpoint.is_file():
        return None
    model, _ = load_checkpoint(checkpoint)
    if not isinstance(model, AutoencoderModel) or model.config.form != "drawn":
        raise UsageError(f"{checkpoint}: not an autoencoder as drawn")
    channels, height, width = model.config.picture
    if pictures.shape[1:] != (height, width, channels):
        found = "x".join(map(str, pictures.shape[1:]))
        raise UsageError(f"{checkpoint}: takes pictures of {height}x{width}x{channels}, {small_set} holds {found}")
    sums = np.zeros(3)
    with torch.inference_mode():
        for start in range(0, len(pictures), _BATCH):
            x = unit(pictures[start : start + _BATCH])
            sums += _scores(model(x)["x_hat"].clamp(0, 1), x)
    places = sum(math.prod(c) for c in model.network.cells)
    size = 4 * math.prod(model.network.latent) + -(-places // 4)
    return replace(_row("drawn", name, small_set, len(pictures), sums), bytes=size)


class Meter:
    """One codec on the pictures of one set; each quality is measured once."""

    def __init__(self, at: Callable[[int], Row], grid: Iterable[int]) -> None:
        self._measure, self._grid = at, tuple(grid)
        self._rows: dict[int, Row] = {}

    def at(self, quality: int) -> Row:
        """The row of a quality."""
        if quality not in self._rows:
            self._rows[quality] = self._measure(quality)
        return self._rows[quality]

    def curve(self) -> list[Row]:
        """The grid, and whatever was measured beside it, by rising quality."""
        for quality in self._grid:
            self.at(quality)
        return [self._rows[quality] for quality in sorted(self._rows)]

    def lowest(self, meets: Callable[[Row], bool]) -> int | None:
        """The lowest quality that meets what higher ones meet as well; None where the highest does not."""
        met = [meets(self.at(quality)) for quality in self._grid]
        place = bisect_left(met, True)
        if place == len(met):
            return None
        first = self._grid[place - 1] + 1 if place else 1
        between = range(first, self._grid[place])
        return first + bisect_left(between, True, key=lambda quality: meets(self.at(quality)))


def operating(curve: Meter, whole: Meter, target: float) -> Row:
    """The row on the whole set of the lowest quality that reaches `target` dB, or of the highest."""
    quality = curve.lowest(lambda row: row.psnr >= target + MARGIN) or _HIGHEST
    while quality < _HIGHEST and whole.at(quality).psnr < target:
        quality += 1
    return replace(whole.at(quality), kind="operating", asked_psnr=target)


def lowest_on_whole(curve: Meter, whole: Meter, meets: Callable[[Row], bool]) -> int | None:
    """The lowest quality that meets on the whole set, looked for from where the curve has it; None: none does."""
    quality = curve.lowest(meets) or _HIGHEST
    if meets(whole.at(quality)):
        while quality > 1 and meets(whole.at(quality - 1)):
            quality -= 1
        return quality
    return next((q for q in range(quality + 1, _HIGHEST + 1) if meets(whole.at(q))), None)


def at_psnr(curve: Meter, whole: Meter, asked: float) -> Row:
    """The lowest quality of at least `asked` dB, or the highest."""
    quality = lowest_on_whole(curve, whole, lambda row: row.psnr >= asked) or _HIGHEST
    return replace(whole.at(quality), kind="asked", asked_psnr=asked)


def within_bytes(curve: Meter, whole: Meter, asked: float) -> Row:
    """The highest quality of at most `asked` bytes a picture, or the lowest."""
    over = lowest_on_whole(curve, whole, lambda row: (row.bytes or 0) > asked)
    quality = _HIGHEST if over is None else max(1, over - 1)
    return replace(whole.at(quality), kind="asked", asked_bytes=asked)


def spread(pictures: Pixels, count: int | None) -> Pixels:
    """`count` of the pictures, evenly over the whole, since folders come class by class; None or too many: all."""
    if count is None or count >= len(pictures):
        return pictures
    return pictures[np.arange(count) * len(pictures) // count]


def plan(models: Sequence[str], sets: Iterable[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Names of models (none: all) -> set: the models to measure on it, and why others are left out.

    Raises UsageError for a name that is not known, and where nothing is left.
    """
    known = [*MODELS, OURS]
    unknown = sorted(set(models) - set(known))
    if unknown:
        raise UsageError(f"no small model {', '.join(unknown)}; choose from {', '.join(known)}")
    given, installed = set(sets), {info.name for info in find.installed()}
    found: dict[str, list[str]] = {}
    skipped = []
    for name in (n for n in known if n in (models or known)):
        if name not in installed:
            skipped.append(f"{name} is skipped: the model is not installed")
            continue
        for small_set in datasets.NAMES if name == OURS else (MODELS[name].set,):
            if small_set in given:
                found.setdefault(small_set, []).append(name)
            else:
                skipped.append(f"{name} on {small_set} is skipped: no --data {small_set}=PATH")
    if not found:
        raise UsageError("nothing to measure: " + "; ".join(skipped))
    return found, skipped


def run(
    planned: Mapping[str, Sequence[str]],
    sets: Mapping[str, Path],
    training: Path,
    *,
    limit: int | None = None,
    curve_pictures: int = 1000,
    earlier: SmallResults | None = None,
    keep: Callable[[SmallResults], None] = lambda results: None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> SmallResults:
    """Measure what `plan` found and `earlier` results do not hold; each step is handed to `keep`.

    Rows of earlier results are taken over where codec, model and pictures are the same; those of sets and models that
    are not planned stay as they are. Raises UsageError where a set cannot be read.
    """
    results = SmallResults(environment())
    earlier = earlier or SmallResults()
    libraries = {name: registry.open_codec(library) for name, (library, _, _) in LIBRARIES.items()}
    results.codecs = {name: codec.version for name, codec in libraries.items()}
    steps = sum(len(libraries) + len(models) for models in planned.values())
    done = 0
    results.codecs = earlier.codecs | results.codecs
    results.sets |= earlier.sets
    for small_set, models in planned.items():
        pictures = _load(small_set, sets[small_set], limit, curve_pictures, results)
        same = earlier.sets.get(small_set) == results.sets[small_set]
        for name, (_, grid, strip) in LIBRARIES.items():
            progress(done, steps)
            if not (same and earlier.codecs.get(name) == results.codecs[name] and earlier.of("curve", name, small_set)):
                codec = Library(name, libraries[name], grid, strip, gray=pictures.shape[3] == 1)
                _replace(earlier, name, small_set, _meter(codec, small_set, pictures).curve())
            done += 1
            keep(_with_rows(results, earlier))
        for name in models:
            progress(done, steps)
            learned = open_codec(name)
            drawn_file = training / f"{name}-drawn" / "weights.pt"
            version = f"model {learned.model.info.id.hex()}"
            if name in MODELS:
                version += f", as drawn {_digest(drawn_file)}"
            if earlier.codecs.get(name) not in (None, version):  # another model of that name, on every set
                earlier.rows = [row for row in earlier.rows if row.codec != name]
                earlier.codecs[name] = version
            if not (same and earlier.codecs.get(name) == version and earlier.of("curve", name, small_set)):
                drawn = None
                if name in MODELS:
                    drawn = measure_drawn(drawn_file, name, small_set, pictures)
                rows = _measure_model(Learned(name, learned), small_set, pictures, curve_pictures, drawn)
                _replace(earlier, name, small_set, rows)
            results.codecs[name] = version
            done += 1
            keep(_with_rows(results, earlier))
    progress(steps, steps)
    return _with_rows(results, earlier)


def _digest(path: Path) -> str:
    """What tells one weights file from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8] if path.is_file() else NOT_AT_HAND


def _with_rows(results: SmallResults, earlier: SmallResults) -> SmallResults:
    return replace(results, rows=sorted(earlier.rows, key=lambda row: (row.set, row.codec, row.kind)))


def _replace(results: SmallResults, codec: str, small_set: str, rows: list[Row]) -> None:
    results.rows = [row for row in results.rows if (row.codec, row.set) != (codec, small_set)] + rows


def _measure_model(
    learned: Learned, small_set: str, pictures: Pixels, curve_pictures: int, drawn: Row | None
) -> list[Row]:
    """Every row of one model on one set."""
    rows = [drawn] if drawn else []
    whole = _meter(learned, small_set, pictures)
    some = spread(pictures, curve_pictures)
    curve = whole if len(some) == len(pictures) else _meter(learned, small_set, some)
    if learned.name in MODELS:
        rows.append(_operating(MODELS[learned.name], drawn, curve, whole))
    elif small_set == ASKED_SET:
        rows += [within_bytes(curve, whole, asked) for asked in ASKED_BYTES]
        rows += [at_psnr(curve, whole, asked) for asked in ASKED_PSNR]
    return rows + curve.curve()


def _meter(codec: SmallCodec, small_set: str, pictures: Pixels) -> Meter:
    return Meter(lambda quality: measure(codec, small_set, pictures, quality), codec.qualities)


def _operating(published: Published, drawn: Row | None, curve: Meter, whole: Meter) -> Row:
    target = published.target
    if target is None and drawn is not None:
        target = drawn.psnr - DRAWN_MARGIN
    if target is None:
        return replace(whole.at(WITHOUT_TARGET), kind="operating")
    return operating(curve, whole, target)


def _load(name: str, path: Path, limit: int | None, curve_pictures: int, results: SmallResults) -> Pixels:
    try:
        everything: Pixels = datasets.load(name, path, "test").pictures.numpy()
    except (ValueError, FileNotFoundError) as exc:
        raise UsageError(f"--data {name}={path}: {exc}") from exc
    pictures = spread(everything, limit)
    results.sets[name] = {
        "source": path.name,
        "split": "test",
        "pictures": len(pictures),
        "of": len(everything),
        "curve_pictures": min(curve_pictures, len(pictures)),  # of caecodec's models; JPEG and WebP: all
        "shape": list(pictures.shape[1:]),
        "sha256": hashlib.sha256(pictures.tobytes()).hexdigest()[:16],
    }
    return pictures


def save(results: SmallResults, path: Path) -> None:
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


def load(path: Path) -> SmallResults:
    """Read a results file. Raises FileSystemError, or UsageError where it is not one."""
    known = {f.name for f in fields(Row)}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise UsageError(f"{path}: results of format {document['format']}, not {FORMAT}")
        rows = [Row(**{k: v for k, v in values.items() if k in known}) for values in document["rows"]]
        return SmallResults(document["environment"], document["codecs"], document["sets"], rows)
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: not a results file of small pictures ({exc})") from exc
