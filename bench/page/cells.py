"""What the sections of the report page share: cells and tables of its JSON, and how curves look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caecodec.bench.table import NOTHING, Titled

Cell = str | dict[str, Any]  # text, or {"t": text, "v": the number to sort by}
Json = dict[str, Any]

HUES = ("caecodec", "jpeg2000", "jpegli", "mozjpeg", "jpeg", "webp", "jxl", "avif", "heic", "vvc")  # first prefix wins
OTHER_HUE = "other"


class Styles:
    """Codec -> how its curve looks: the hue of its family, and a marker that no other of the family has."""

    def __init__(self) -> None:
        self._given: dict[str, Json] = {}

    def of(self, codec: str) -> Json:
        """The same for every chart of a page section."""
        if codec not in self._given:
            hue = next((hue for hue in HUES if codec.startswith(hue)), OTHER_HUE)
            marker = sum(style["hue"] == hue for style in self._given.values())
            self._given[codec] = {"hue": hue, "marker": marker}
        return self._given[codec]


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Json:
    """For the page: the first column says what a row is about."""
    return {"columns": list(columns), "rows": [list(row) for row in rows]}


def titled(found: Sequence[Titled]) -> list[Json]:
    """Tables as the terminal shows them, and what they are about; notes on failures have a section of their own."""
    return [{"title": title.replace("`", "")} | table(made.columns, made.rows) for title, made in found]


def number(value: float | None, form: str) -> Cell:
    """A number as a cell, None as a dash."""
    return NOTHING if value is None else {"t": form.format(value), "v": value}
