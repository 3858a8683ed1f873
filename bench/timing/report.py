"""The tables of `bench speed` and `bench growth`. Every number is computed from the rounds of a results file."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from caecodec.bench.table import NOTHING, Table, Titled
from caecodec.bench.timing.results import BatchRow, Grown, GrowthResults, SizeRow, SpeedResults, SpeedRow

SLOPE_FROM = 2.0  # megapixels; below, what does not grow is most of the time
_REASON_CHARACTERS = 60


def speed_tables(results: SpeedResults) -> list[Titled]:
    """What the tables are about, and the tables that have rows."""
    threads, rounds = _count(results.threads, "thread"), _count(results.rounds, "round")
    single = f"{_size(results.single['megapixels'])} megapixels"
    warm = (
        f"{_count(len(results.pictures), 'picture')}, {_size(results.megapixels)} megapixels, at {results.aim}, "
        f"{threads}. Megapixels a second, warm: median of {rounds}, lowest to highest in brackets; cores: processor "
        f"time by wall clock. Memory: peak of a process that codes one picture of {single}, start-up included."
    )
    begun = {row.begun for row in results.codecs}
    if len(begun) > 1:
        warm += f" Measured in {len(begun)} runs: only codecs of the same run took turns."
    cold = (
        f"Seconds of a whole process that codes one file of {single}, from and to PNG, {threads}: "
        "median, lowest to highest in brackets."
    )
    made = [(warm, _warm_table(results.codecs)), (cold, _cold_table(results))]
    return [(text, table) for text, table in made if table.rows]


def growth_tables(results: GrowthResults) -> list[Titled]:
    """What the tables are about, and the tables that have rows."""
    threads = _count(results.threads, "thread")
    rounds = f"median of {_count(results.rounds, 'round')}, lowest to highest in brackets"
    sizes = (
        f"One picture of each size at {results.aim}, {threads}, each measurement in a fresh process: "
        f"seconds without start-up, {rounds}; peak memory of the process."
    )
    slopes = f"Exponent of time in pixels from {SLOPE_FROM:g} megapixels up: 1 is linear."
    batches = (
        f"Folders of files by the command line, {threads}, start-up included: files a second, "
        f"{rounds}; peak memory of the process."
    )
    made = [
        (sizes, _size_table(results.sizes)),
        (slopes, _slope_table(results.sizes)),
        (batches, _batch_table(results.batches)),
    ]
    return [(text, table) for text, table in made if table.rows]


def slope(rows: Sequence[SizeRow], codec: str, part: str) -> float | None:
    """Exponent of the median time of `part` (encode, decode) in pixels, by least squares over the larger pictures.

    None of fewer than two sizes.
    """
    points = [
        (math.log(row.megapixels), math.log(statistics.median(seconds(row, part))))
        for row in rows
        # a picture of 2 megapixels is a few pixels more or less
        if row.codec == codec and row.megapixels >= 0.95 * SLOPE_FROM and seconds(row, part)
    ]
    if len(points) < 2:
        return None
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def seconds(row: SizeRow | BatchRow, part: str) -> tuple[float, ...]:
    """The rounds of `part`: encode or decode."""
    return row.encode_s if part == "encode" else row.decode_s


def spread(values: Sequence[float]) -> str:
    """Median, and lowest to highest where there is more than one value."""
    if not values:
        return NOTHING
    middle = _number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".removesuffix(".")


def _size(megapixels: float) -> str:
    return f"{megapixels:.2g}" if megapixels < 10 else f"{megapixels:,.0f}"


def _count(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"{number} {what}s"


def _mib(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f} MiB"


def _failed(error: str) -> str:
    """For a cell: one line, no column of a Markdown table."""
    return "failed: " + " ".join(error.replace("|", "/").split())[:_REASON_CHARACTERS]


def _warm_table(rows: Sequence[SpeedRow]) -> Table:
    columns = (
        "codec",
        "quality",
        "bpp",
        "PSNR",
        "encode MP/s",
        "decode MP/s",
        "cores",
        "encode memory",
        "decode memory",
    )
    lines = []
    for row in rows:
        quality = NOTHING if row.quality is None else str(row.quality)
        if row.error is not None:
            lines.append((row.codec, quality, NOTHING, NOTHING, _failed(row.error), *[NOTHING] * 4))
            continue
        psnr = "lossless" if row.psnr is None else f"{row.psnr:.2f} dB"
        rate = NOTHING if row.bpp is None else f"{row.bpp:.3f}"
        cores = (f"{statistics.median(c):.1f}" if c else NOTHING for c in (row.encode_cores, row.decode_cores))
        speeds = (spread(row.encode_mp_s), spread(row.decode_mp_s), ", ".join(cores))
        memory = (_mib(row.encode_peak_mib), _mib(row.decode_peak_mib))
        lines.append((row.codec, quality, rate, psnr if row.bpp is not None else NOTHING, *speeds, *memory))
    return Table(columns, tuple(lines))


def _cold_table(results: SpeedResults) -> Table:
    lines = [
        (row.codec, spread(row.cold_encode_s), spread(row.cold_decode_s)) for row in results.codecs if row.cold_decode_s
    ]
    # what a start costs without coding anything: one figure, in both columns
    lines += [(f"only: {name}", spread(times), spread(times)) for name, times in results.references.items()]
    return Table(("cold", "encode", "decode"), tuple(lines))


def _size_table(rows: Sequence[SizeRow]) -> Table:
    columns = ("codec", "megapixels", "encode", "decode", "encode memory", "decode memory")
    lines = []
    for row in _grouped(rows):
        size = _size(row.megapixels)
        if row.error is not None:
            lines.append((row.codec, size, _failed(row.error), *[NOTHING] * 3))
            continue
        memory = (_mib(row.encode_peak_mib), _mib(row.decode_peak_mib))
        lines.append((row.codec, size, f"{spread(row.encode_s)} s", f"{spread(row.decode_s)} s", *memory))
    return Table(columns, tuple(lines))


def _slope_table(rows: Sequence[SizeRow]) -> Table:
    lines = []
    for codec in dict.fromkeys(row.codec for row in rows):
        found = [slope(rows, codec, part) for part in ("encode", "decode")]
        if any(value is not None for value in found):
            lines.append((codec, *(NOTHING if value is None else f"{value:.2f}" for value in found)))
    return Table(("codec", "encode", "decode"), tuple(lines))


def _batch_table(rows: Sequence[BatchRow]) -> Table:
    columns = ("codec", "files", "megapixels", "encode files/s", "decode files/s", "encode memory", "decode memory")
    lines = []
    for row in _grouped(rows):
        about = (row.codec, str(row.files), _size(row.megapixels))
        if row.error is not None:
            lines.append((*about, _failed(row.error), *[NOTHING] * 3))
            continue
        rates = (spread([row.files / s for s in times]) for times in (row.encode_s, row.decode_s))
        lines.append((*about, *rates, _mib(row.encode_peak_mib), _mib(row.decode_peak_mib)))
    return Table(columns, tuple(lines))


def _grouped(rows: Sequence[Grown]) -> list[Grown]:
    """Codec by codec in the order of their first rows, from small to large."""
    order = {codec: place for place, codec in enumerate(dict.fromkeys(row.codec for row in rows))}
    return sorted(rows, key=lambda row: (order[row.codec], row.megapixels))
