"""The page that `caecodec compare --html` writes: the files under a slider, and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import caecodec
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
    body = "\n".join(map(_row, [own, *((n, *cells[1:]) for n, cells in zip(names[1:], made.rows, strict=True))]))
    notes = [*((names[0], note) for note in original.notes)]
    notes += ((name, note) for name, (_, row) in zip(names[1:], others, strict=True) for note in row.notes)
    said = "".join(f"<li>{escape(name)}: {escape(note)}</li>" for name, note in notes)
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'">
<title>{escape(names[0])} compared</title>
<style>
{_PAGE_CSS}
{viewer.css()}</style>
</head>
<body>
<main>
<h1>{escape(names[0])} compared</h1>
<p>{facts}</p>
{viewer.fragment("Original and other files", shown)}
<h2>Figures</h2>
<div class="wide" tabindex="0"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table></div>
<p class="small">Bytes are of whole files. Saved: against raw 24-bit RGB. PSNR, MS-SSIM and SSIM: of 8-bit RGB as
stored, higher is closer. Pictures on this page are lossless copies of what each file decodes to.</p>
{f'<ul class="small">{said}</ul>' if said else ""}
<footer class="small">caecodec {caecodec.__version__}</footer>
</main>
<script>
{viewer.js()}</script>
</body>
</html>
"""
    return text.encode("utf-8", "backslashreplace")  # a file name may hold what UTF-8 cannot


_PAGE_CSS = """:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; }
main { max-width: 70rem; margin: 0 auto; padding: 1.2rem clamp(.8rem, 3vw, 2rem); }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h1 + p { margin: .2rem 0 0; opacity: .75; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .35rem .8rem; text-align: right; }
tr { border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; }
.small { font-size: .85rem; opacity: .75; max-width: 60rem; }"""


def _row(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _figure(column: str, cell: str) -> str:
    return f"{column} {cell}" if column.startswith(("MS", "SS", "PS")) else f"{cell} {column}"


def _short(names: Sequence[str]) -> list[str]:
    """The names of files without their folders, where that leaves them different."""
    short = [Path(name).name for name in names]
    return short if len(set(short)) == len(short) else list(names)
