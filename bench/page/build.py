"""Results -> one HTML page that opens from disk and loads nothing.

The page holds its figures as JSON, made by `data.collect`; its JavaScript draws them and calculates none.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

from caecodec.bench.page.cells import Json
from caecodec.bench.page.view import Views
from caecodec.bench.viewer import viewer

NOTHING_SHOWN = Views("", [], [])
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def build_page(data: Json, views: Views = NOTHING_SHOWN) -> str:
    """The whole page of what `data.collect` made, with pictures where there are any."""
    parts = {
        "css": _asset("page.css") + viewer.css(),
        "js": _asset("chart.js") + _asset("page.js"),
        "viewer": views.html,
        "viewer_js": viewer.js() if views.html else "",
        "data": embedded(data | {"view": views.shown, "bits": views.maps}),
    }
    # one pass: what a part holds is not looked at again
    return _PLACE.sub(lambda found: parts[found[1]], _asset("page.html"))


def embedded(data: Any) -> str:
    """JSON that can stand in a <script>: no text in it can end the element or begin a comment."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return resources.files("caecodec.bench.page").joinpath(name).read_text(encoding="utf-8")
