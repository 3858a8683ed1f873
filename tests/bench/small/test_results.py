from __future__ import annotations

from pathlib import Path

import pytest

from caecodec.bench.small.results import load_small
from caecodec.errors import UsageError


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', '{"format": "small 1", "rows": [{}]}'])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"r\.json"):
        load_small(path)
