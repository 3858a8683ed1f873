"""Results files -> one HTML page that opens from disk and loads nothing.

The page holds its figures as JSON, made by `page_data`; its JavaScript draws them and calculates none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from caecodec.bench.page.data import collect, read
from caecodec.bench.page.view import Views
from caecodec.bench.viewer import viewer

NOTHING_SHOWN = Views("", [], [])
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def build_page(paths: Sequence[Path], views: Views = NOTHING_SHOWN) -> str:
    """The whole page. Raises FileSystemError, and UsageError where a file is no results file."""
    data = collect([read(path) for path in paths])
    return render(data | {"view": views.shown, "bits": views.maps}, views.html)


def render(data: dict[str, Any], viewers: str = "") -> str:
    """The page of its JSON."""
    parts = {
        "css": _asset("page.css") + viewer.css(),
        "js": _asset("chart.js") + _asset("page.js"),
        "viewer": viewers,
        "viewer_js": viewer.js() if viewers else "",
        "data": embedded(data),
    }
    # one pass: what a part holds is not looked at again
    return _PLACE.sub(lambda found: parts[found[1]], _asset("page.html"))


def embedded(data: Any) -> str:
    """JSON that can stand in a <script>: no text in it can end the element or begin a comment."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return resources.files("caecodec.bench.page").joinpath(name).read_text(encoding="utf-8")
