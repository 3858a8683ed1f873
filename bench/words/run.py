"""Whether letters stay legible: how many words of a picture are still read in what a codec made of it, at equal bytes.

The words are those that tesseract reads in the original with confidence (`reader`), each codec takes the quality whose
file is nearest to a rate, and its decoded picture is read in the same way. (picture x codec x rate) -> rows of a file;
a run picks up where the last one ended, as `rd` does.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from caecodec.bench.codecs.match import nearest
from caecodec.bench.codecs.protocol import BenchCodec
from caecodec.bench.environment import environment
from caecodec.bench.metrics import metrics
from caecodec.bench.pictures import Picture, Pixels, load_pixels
from caecodec.bench.words import reader
from caecodec.bench.words.reader import Tesseract, Word
from caecodec.errors import FileSystemError, UsageError
from caecodec.files.writing import make_folder, write_atomically

FORMAT = 1
KIND = "words"
_NEAR = 0.1
Key = tuple[str, float, str]


@dataclass(frozen=True, slots=True)
class WordRow:
    """One picture by one codec at about one rate. A failure has an `error` and no measurements."""

    codec: str
    version: str
    target_bpp: float
    picture: str
    width: int
    height: int
    quality: int | None = None
    bytes: int | None = None
    bpp: float | None = None  # reached: a codec has only so many qualities, and a smallest and a largest file
    psnr: float | None = None  # dB; None is lossless
    words: int | None = None  # read in the original
    found: int | None = None  # of them, read again
    error: str | None = None

    @property
    def key(self) -> Key:
        return self.codec, self.target_bpp, self.picture

    @property
    def on_target(self) -> bool:
        """Whether the rate is within a tenth of the one asked for; it is not where no quality of the codec is near."""
        return self.bpp is not None and abs(self.bpp / self.target_bpp - 1) <= _NEAR


@dataclass(slots=True)
class WordResults:
    """A results file. `pictures` maps a name to the start of the SHA-256 of its pixels, `words` to those in it."""

    reader: str  # and how it reads: `Tesseract.description`
    environment: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)  # codec -> why it could not be measured
    rows: list[WordRow] = field(default_factory=list)

    @property
    def failures(self) -> list[WordRow]:
        return [row for row in self.rows if row.error is not None]

    @property
    def codecs(self) -> list[str]:
        """Names in the order of their first rows."""
        return list(dict.fromkeys(row.codec for row in self.rows))

    @property
    def targets(self) -> list[float]:
        """The rates asked for, rising."""
        return sorted({row.target_bpp for row in self.rows})


def measure_words(
    codecs: Sequence[BenchCodec],
    pictures: Sequence[Picture],
    path: Path,
    *,
    targets: Sequence[float],
    tesseract: Tesseract,
    unavailable: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> WordResults:
    """Measure at `targets` (bpp) what `path` does not hold yet, and keep `path` up to date while at it.

    Rows of another version of a codec, of other pixels, and those that failed, are measured again. A picture without
    words has no rows. Raises UsageError where `path` was read by another tesseract, or in another way.
    """
    known = load_words(path) if path.exists() else WordResults(tesseract.description)
    if known.reader != tesseract.description:
        raise UsageError(
            f"{path} was read by {known.reader}; here is {tesseract.description}: choose another --output, or delete it"
        )
    rows = {row.key: row for row in _still_valid(known, codecs, pictures)}
    known.environment = environment()
    reasons = known.unavailable | dict(unavailable or {})
    known.unavailable = {name: why for name, why in reasons.items() if name not in {codec.name for codec in codecs}}
    try:
        for number, picture in enumerate(pictures):
            known.pictures[picture.name] = picture.sha256
            for row in _of_picture(picture, codecs, targets, tesseract, known, set(rows)):
                rows[row.key] = row
            _keep(known, rows, path)
            progress(number + 1, len(pictures))
    finally:
        _keep(known, rows, path)
    return known


def load_words(path: Path) -> WordResults:
    """Read a file of kind words. Raises FileSystemError, or UsageError where it is not one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["kind"] != KIND:
            found = f"kind {document['kind']!r}, format {document['format']!r}"
            raise UsageError(f"{path}: results of {found}; expected kind {KIND!r}, format {FORMAT}")
        head = {f.name: document[f.name] for f in fields(WordResults) if f.name != "rows"}
        return WordResults(**head, rows=[_row(values) for values in document["rows"]])
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except UsageError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as exc:  # ValueError: no JSON, no text
        raise UsageError(f"{path}: not a results file of kind {KIND!r} ({type(exc).__name__}: {exc})") from exc


def save_words(results: WordResults, path: Path) -> None:
    """Write a file, one row a line; it appears whole or not at all. Raises FileSystemError."""
    head: dict[str, Any] = {"format": FORMAT, "kind": KIND}
    head |= {f.name: getattr(results, f.name) for f in fields(results) if f.name not in ("rows", "words")}
    text = json.dumps(head, indent=1, allow_nan=False)[:-2]
    words = ",\n".join(f"{json.dumps(name)}: {json.dumps(read)}" for name, read in results.words.items())
    rows = ",\n".join(json.dumps(_values(row), allow_nan=False, separators=(",", ":")) for row in results.rows)
    text += f',\n "words": {{\n{words}\n }},\n "rows": [\n{rows}\n]\n}}\n'
    make_folder(path.parent)
    write_atomically(str(path), text.encode(), overwrite=True)


def _still_valid(known: WordResults, codecs: Sequence[BenchCodec], pictures: Sequence[Picture]) -> Iterator[WordRow]:
    versions = {codec.name: codec.version for codec in codecs}
    hashes = {picture.name: picture.sha256 for picture in pictures}
    for row in known.rows:
        same_codec = versions.get(row.codec, row.version) == row.version
        known_hash = known.pictures.get(row.picture)
        same_pixels = hashes.get(row.picture, known_hash) == known_hash
        if same_codec and same_pixels and (row.error is None or row.codec not in versions):
            yield row


def _of_picture(
    picture: Picture,
    codecs: Sequence[BenchCodec],
    targets: Sequence[float],
    tesseract: Tesseract,
    known: WordResults,
    measured: set[Key],
) -> Iterator[WordRow]:
    """The rows of a picture that are not `measured`; notes its words in `known`."""
    missing = {
        codec.name: [bpp for bpp in targets if (codec.name, bpp, picture.name) not in measured] for codec in codecs
    }
    if not any(missing.values()):
        return
    pixels = load_pixels(picture.path, picture.crop)
    wanted = reader.references(tesseract.read(pixels))
    known.words[picture.name] = [word.text for word in wanted]
    if not wanted:
        return
    for codec in codecs:
        files: dict[int, bytes] = {}  # by quality: the searches for the rates share them
        for bpp in missing[codec.name]:
            yield _measure(picture, codec, bpp, pixels, files, tesseract, wanted)


def _measure(
    picture: Picture,
    codec: BenchCodec,
    target_bpp: float,
    pixels: Pixels,
    files: dict[int, bytes],
    tesseract: Tesseract,
    wanted: Sequence[Word],
) -> WordRow:
    """Search the quality, code, read; whatever the codec raises becomes the row's error."""
    row = functools.partial(WordRow, codec.name, codec.version, target_bpp, picture.name, picture.width, picture.height)

    def rate(quality: int) -> float:
        if quality not in files:
            files[quality] = codec.encode(pixels, quality)
        return metrics.bpp(len(files[quality]), picture.width, picture.height)

    try:
        # from 1, which every codec knows: of text, the files at the lower end of some grids are too large
        quality = nearest(rate, range(1, codec.qualities[-1] + 1), target_bpp)
        bpp = rate(quality)
        shown = codec.decode(files[quality])
        error = metrics.mse(pixels, shown)
    except Exception as exc:  # a codec that fails is a result
        return row(error=f"{type(exc).__name__}: {exc}")
    return row(
        quality=quality,
        bytes=len(files[quality]),
        bpp=round(bpp, 5),
        psnr=round(metrics.psnr(error), 4) if error else None,
        words=len(wanted),
        found=reader.read_again(wanted, tesseract.read(shown)),
    )


def _keep(known: WordResults, rows: Mapping[Key, WordRow], path: Path) -> None:
    order = {codec: place for place, codec in enumerate(dict.fromkeys(row.codec for row in rows.values()))}
    known.rows = sorted(rows.values(), key=lambda row: (order[row.codec], row.target_bpp, row.picture))
    save_words(known, path)


def _values(row: WordRow) -> Mapping[str, Any]:
    return {key: value for key, value in asdict(row).items() if value is not None}


def _row(values: Mapping[str, Any]) -> WordRow:
    for of in fields(WordRow):
        if of.default is MISSING and of.name not in values:
            raise KeyError(of.name)
    return WordRow(**values)
