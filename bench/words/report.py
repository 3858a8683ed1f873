"""The table of `bench words`. Every number is computed from the rows of a results file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from caecodec.bench.table import NOTHING, Table
from caecodec.bench.words import reader
from caecodec.bench.words.run import WordResults, WordRow
from caecodec.errors import UsageError


def word_table(results: WordResults, codecs: Sequence[str] | None = None, anchor: str | None = None) -> Table:
    """A row for each codec at each rate, over the pictures that all of them have at all of the rates.

    codecs: which, in this order; None is all. anchor: the one that others are compared with picture by picture; None is
    the first. Raises UsageError where one of them was not measured, or no picture by all.
    """
    names = list(results.codecs if codecs is None else codecs)
    unknown = [name for name in [*names, *([anchor] if anchor else [])] if name not in results.codecs]
    if unknown or not names:
        raise UsageError(f"no codec {', '.join(unknown)} there; choose from {', '.join(results.codecs)}")
    against = anchor or names[0]
    rows = {row.key: row for row in results.rows if row.error is None}
    of_all = [
        picture
        for picture, read in results.words.items()
        if read and all((name, bpp, picture) in rows for name in {*names, against} for bpp in results.targets)
    ]
    if not of_all:
        raise UsageError("no picture was measured with all of these codecs at all of the rates")
    lines, off = [], []
    for bpp in results.targets:
        theirs = {picture: rows[against, bpp, picture] for picture in of_all}
        for name in names:
            ours = {picture: rows[name, bpp, picture] for picture in of_all}
            compared = NOTHING if name == against else _compared(ours, theirs)
            lines.append((f"{name}, {bpp:g} bpp", *_cells(list(ours.values())), compared))
            if missed := sum(not row.on_target for row in ours.values()):
                off.append(f"{name} at {bpp:g} bpp ({missed} of {len(of_all)} pictures)")
    words = sum(len(results.words[picture]) for picture in of_all)
    columns = (
        f"{len(of_all)} pictures, {words:,} words",
        "bpp",
        "words read again",
        "mean of pictures",
        f"pictures better, equal, worse than {against}",
    )
    return Table(columns, tuple(lines), tuple(_notes(results, of_all, off)))


def _cells(rows: Sequence[WordRow]) -> tuple[str, str, str]:
    """Mean rate, words pooled, and the mean of the pictures' shares."""
    found, words = sum(row.found or 0 for row in rows), sum(row.words or 0 for row in rows)
    mean = sum(_share(row) for row in rows) / len(rows)
    rate = sum(row.bpp or 0 for row in rows) / len(rows)
    return f"{rate:.3f}", f"{found:,} ({found / words:.1%})".replace("%", " %"), f"{mean:.1%}".replace("%", " %")


def _compared(ours: Mapping[str, WordRow], theirs: Mapping[str, WordRow]) -> str:
    """At equal bytes only: a picture counts where both files have the rate asked for."""
    pairs = [
        (row.found or 0, theirs[picture].found or 0)
        for picture, row in ours.items()
        if row.on_target and theirs[picture].on_target
    ]
    return f"{sum(a > b for a, b in pairs)}, {sum(a == b for a, b in pairs)}, {sum(a < b for a, b in pairs)}"


def _share(row: WordRow) -> float:
    return (row.found or 0) / (row.words or 1)


def _notes(results: WordResults, of_all: Sequence[str], off: Sequence[str]) -> list[str]:
    notes = [
        f"Words: of {reader.LETTERS} letters and more, read in the original with a confidence of at least "
        f"{reader.CONFIDENCE:g} of 100. Read again: the same text, in the same place. Reader: {results.reader}."
    ]
    if off:
        notes.append(
            f"No file within a tenth of the rate asked for: {', '.join(off)}. Better, equal and worse leave these out."
        )
    silent = [picture for picture in results.pictures if not results.words.get(picture)]
    left = [picture for picture in results.pictures if picture not in of_all and picture not in silent]
    if silent:
        notes.append(f"Without words that count: {', '.join(silent)}.")
    if left:
        notes.append(f"Left out, not measured by all of these codecs at all rates: {', '.join(left)}.")
    return notes
