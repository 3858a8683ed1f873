"""The page that `caecodec compare --html` writes: the files under a slider, and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from caecodec.bench.compare.compare import Comparison, PictureFile, figures_table
from caecodec.bench.table import NOTHING
from caecodec.bench.viewer import viewer
from caecodec.errors import LimitError

PAGE_PIXELS = 2**26  # of a picture on a page; browsers show little more


def compare_page(
    original: PictureFile, others: Sequence[tuple[PictureFile, Comparison]], *, ssimulacra2: bool = False
) -> bytes:
    """One HTML file, UTF-8, that loads nothing. Raises LimitError where pictures are too large for a browser."""
    size = original.width * original.height
    if size > PAGE_PIXELS:
        raise LimitError(f"{size} pixels are over the {PAGE_PIXELS} of a picture on a page; compare a crop")
    made = figures_table([row for _, row in others], ssimulacra2=ssimulacra2)
    names = _short([original.name, *(source.name for source, _ in others)])
    facts = f"{original.width}x{original.height} pixels, {original.size_bytes:,} bytes, {original.bpp:.3f} bpp"
    shown = [viewer.Shown(names[0], facts, *viewer.lossless(original.pixels))]
    for name, (source, _), cells in zip(names[1:], others, made.rows, strict=True):
        detail = ", ".join(
            _figure(c, cell) for c, cell in zip(made.columns[1:], cells[1:], strict=True) if cell != NOTHING
        )
        shown.append(viewer.Shown(name, detail, *viewer.lossless(source.pixels), source.bits))
    head = "".join(f"<th scope=col>{escape(column)}</th>" for column in made.columns)
    blank = ("",) * (len(made.columns) - 4)
    own = (names[0], f"{original.size_bytes:,}", f"{original.bpp:.3f}", f"{original.compression_rate:.2%}", *blank)
    lines = "\n".join(map(_row, [own, *((n, *cells[1:]) for n, cells in zip(names[1:], made.rows, strict=True))]))
    notes = [*((names[0], note) for note in original.notes)]
    notes += ((name, note) for name, (_, row) in zip(names[1:], others, strict=True) for note in row.notes)
    said = "".join(f"<li>{escape(name)}: {escape(note)}</li>" for name, note in notes)
    body = f"""{viewer.fragment("Original and other files", shown)}
<h2>Figures</h2>
<div class="wide" tabindex="0"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{lines}
</tbody>
</table></div>
<p class="small">Bytes are of whole files. Saved: against raw 24-bit RGB. PSNR, MS-SSIM and SSIM: of 8-bit RGB as
stored, higher is closer. Pictures on this page are lossless copies of what each file decodes to.</p>
{f'<ul class="small">{said}</ul>' if said else ""}"""
    return viewer.document(f"{names[0]} compared", facts, body, _STYLE)


_STYLE = """.wide { overflow-x: auto; }
table { white-space: nowrap; }
th, td { padding: .35rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.small { max-width: 60rem; }"""


def _row(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _figure(column: str, cell: str) -> str:
    return f"{column} {cell}" if column.startswith(("MS", "SS", "PS")) else f"{cell} {column}"


def _short(names: Sequence[str]) -> list[str]:
    """The names of files without their folders, where that leaves them different."""
    short = [Path(name).name for name in names]
    return short if len(set(short)) == len(short) else list(names)
