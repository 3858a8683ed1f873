from __future__ import annotations

import math
from pathlib import Path

import pytest
from timing_rows import grown

from caecodec.bench.timing.results import load_growth, save_timings
from caecodec.errors import UsageError


def test_a_file_with_endless_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    save_timings(grown(), path)
    path.write_text(path.read_text().replace('"encode_s":[5.0', '"encode_s":[Infinity'))
    with pytest.raises(UsageError, match="no number"):
        load_growth(path)
    assert math.isfinite(sum(grown().sizes[0].encode_s))
