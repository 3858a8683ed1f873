"""The files of `bench speed` and `bench growth`: rows that keep every round, and their JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from caecodec.errors import FileSystemError, UsageError
from caecodec.files.writing import make_folder, write_atomically

FORMAT = 2
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Aim:
    """The quality that is timed: the one nearest to a mean rate, or the same for every codec."""

    bpp: float | None = None
    quality: int | None = None

    def __str__(self) -> str:
        return f"about {self.bpp} bpp" if self.quality is None else f"quality {self.quality}"


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """One codec. Of each tuple a value is a round; an `error` says why rounds or measurements are missing."""

    codec: str
    version: str
    begun: str  # rows that began together were measured in turns
    quality: int | None = None
    threads: int | None = None  # that it was told to take; None: its library chooses, within the cores it is held to
    bpp: float | None = None
    psnr: float | None = None  # dB; None is lossless
    encode_mp_s: tuple[float, ...] = ()
    decode_mp_s: tuple[float, ...] = ()
    encode_cores: tuple[float, ...] = ()  # processor seconds a second: what the codec really kept busy
    decode_cores: tuple[float, ...] = ()
    encode_peak_mib: float | None = None  # of the process, start-up included
    decode_peak_mib: float | None = None
    start_peak_mib: float | None = None  # of the process before it has a picture
    cold_encode_s: tuple[float, ...] = ()
    cold_decode_s: tuple[float, ...] = ()
    error: str | None = None

    @property
    def key(self) -> tuple[str]:
        return (self.codec,)


@dataclass(frozen=True, slots=True)
class SizeRow:
    """One codec on one picture of a size, each measurement in a process of its own."""

    codec: str
    version: str
    quality: int | None
    width: int
    height: int
    megapixels: float
    encode_s: tuple[float, ...] = ()  # start-up left out
    decode_s: tuple[float, ...] = ()
    encode_peak_mib: float | None = None  # the highest of the rounds, start-up included
    decode_peak_mib: float | None = None
    error: str | None = None

    @property
    def key(self) -> tuple[str, int, int]:
        return self.codec, self.width, self.height


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One folder of files by the command line."""

    codec: str
    version: str
    quality: int | None
    files: int
    megapixels: float  # of all files
    encode_s: tuple[float, ...] = ()  # of the whole command, start-up included
    decode_s: tuple[float, ...] = ()
    encode_peak_mib: float | None = None
    decode_peak_mib: float | None = None
    error: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.codec, self.files


@dataclass(slots=True)
class SpeedResults:
    """A file of kind speed. `single` is the picture of the memory and the cold start."""

    aim: Aim
    threads: int
    rounds: int
    environment: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)  # name -> start of the SHA-256 of its pixels
    megapixels: float = 0.0
    single: dict[str, Any] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    references: dict[str, tuple[float, ...]] = field(default_factory=dict)  # seconds of starts without a codec
    codecs: list[SpeedRow] = field(default_factory=list)

    @property
    def failures(self) -> list[SpeedRow]:
        return [row for row in self.codecs if row.error is not None]


@dataclass(slots=True)
class GrowthResults:
    """A file of kind growth."""

    aim: Aim
    threads: int
    rounds: int
    environment: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)  # what the measured pictures are cut from
    unavailable: dict[str, str] = field(default_factory=dict)
    sizes: list[SizeRow] = field(default_factory=list)
    batches: list[BatchRow] = field(default_factory=list)

    @property
    def failures(self) -> list[SizeRow | BatchRow]:
        rows: list[SizeRow | BatchRow] = [*self.sizes, *self.batches]
        return [row for row in rows if row.error is not None]


Row = TypeVar("Row", SpeedRow, SizeRow, BatchRow)
Grown = TypeVar("Grown", SizeRow, BatchRow)
Results = TypeVar("Results", SpeedResults, GrowthResults)


def put(rows: list[Row], row: Row) -> None:
    """In the place of the one with the same key, or at the end."""
    for place, known in enumerate(rows):
        if known.key == row.key:
            rows[place] = row
            return
    rows.append(row)


def load_speed(path: Path) -> SpeedResults:
    """Read a file of kind speed. Raises FileSystemError, or UsageError where it is not one."""

    def made(document: Any) -> SpeedResults:
        return SpeedResults(
            **_head(document),
            megapixels=float(document["megapixels"]),
            single=dict(document["single"]) | {"megapixels": float(document["single"]["megapixels"])},
            references={name: _numbers(values) for name, values in document["references"].items()},
            codecs=_rows(SpeedRow, document["codecs"]),
        )

    results: SpeedResults = _load(path, "speed", made)
    return results


def load_growth(path: Path) -> GrowthResults:
    """Read a file of kind growth. Raises FileSystemError, or UsageError where it is not one."""

    def made(document: Any) -> GrowthResults:
        return GrowthResults(
            **_head(document),
            sizes=_rows(SizeRow, document["sizes"]),
            batches=_rows(BatchRow, document["batches"]),
        )

    results: GrowthResults = _load(path, "growth", made)
    return results


def save_timings(results: SpeedResults | GrowthResults, path: Path) -> None:
    """Write a file, one row a line; it appears whole or not at all. Raises FileSystemError."""
    kind = "speed" if isinstance(results, SpeedResults) else "growth"
    lists: dict[str, Sequence[SpeedRow | SizeRow | BatchRow]] = (
        {"codecs": results.codecs}
        if isinstance(results, SpeedResults)
        else {"sizes": results.sizes, "batches": results.batches}
    )
    aim = {key: value for key, value in asdict(results.aim).items() if value is not None}
    head = {"format": FORMAT, "kind": kind} | {
        f.name: _rounded(getattr(results, f.name)) for f in fields(results) if f.name not in lists
    }
    text = json.dumps(head | {"aim": aim}, indent=1, allow_nan=False)[:-2]
    for name, rows in lists.items():
        lines = ",\n".join(json.dumps(_rounded(asdict(r)), allow_nan=False, separators=(",", ":")) for r in rows)
        text += f',\n "{name}": [\n{lines}\n]'
    make_folder(path.parent)
    write_atomically(str(path), f"{text}\n}}\n".encode(), overwrite=True)


def resumed(path: Path, load: Callable[[Path], Results], fresh: Results) -> Results:
    """What `path` holds already, to be gone on with, or `fresh`.

    Raises UsageError where it was measured of something else or on another machine: such numbers do not mix.
    """
    if not path.exists():
        return fresh
    known = load(path)
    for what, old, new in (
        ("aim", known.aim, fresh.aim),
        ("threads", known.threads, fresh.threads),
        ("pictures", known.pictures, fresh.pictures),
        ("processor", known.environment.get("cpu"), fresh.environment.get("cpu")),
    ):
        if old != new:
            detail = "" if what == "pictures" else f": {old} there, {new} now"
            raise UsageError(
                f"{path} holds measurements of other {what}{detail}; choose another --output, or delete it"
            )
    known.rounds = max(known.rounds, fresh.rounds)
    known.environment = fresh.environment
    return known


def _load(path: Path, kind: str, made: Any) -> Any:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["kind"] != kind:
            found = f"kind {document['kind']!r}, format {document['format']!r}"
            raise UsageError(f"{path}: results of {found}; expected kind {kind!r}, format {FORMAT}")
        return made(document)
    except OSError as exc:
        raise FileSystemError(f"{path}: {exc.strerror}") from exc
    except UsageError:
        raise
    # ValueError: no JSON, no UTF-8, or text where a number belongs
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise UsageError(f"{path}: not a results file of kind {kind!r} ({type(exc).__name__}: {exc})") from exc


def _head(document: Mapping[str, Any]) -> dict[str, Any]:
    """What both kinds have."""
    return {
        "aim": Aim(**document["aim"]),
        "threads": int(document["threads"]),
        "rounds": int(document["rounds"]),
        "environment": dict(document["environment"]),
        "pictures": dict(document["pictures"]),
        "unavailable": dict(document["unavailable"]),
    }


def _rows(kind: type[Row], documents: Sequence[Mapping[str, Any]]) -> list[Row]:
    rows = []
    for document in documents:
        values: dict[str, Any] = {}
        for of in fields(kind):
            if of.name in document:
                value = document[of.name]
                values[of.name] = _numbers(value) if of.default == () else value
            elif of.default is MISSING:
                raise KeyError(of.name)
        rows.append(kind(**values))
    return rows


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    found = tuple(float(value) for value in values)
    if not all(math.isfinite(value) for value in found):
        raise ValueError("a measurement that is no number")
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
