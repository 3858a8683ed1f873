from __future__ import annotations

from typing import Any

import pytest
from page_files import data_of, written

from caecodec.bench.page.build import build_page
from caecodec.bench.page.data import collect


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_page(collect(written(tmp_path_factory.mktemp("results"))))


@pytest.fixture(scope="module")
def rd(html: str) -> Any:
    (found,) = data_of(html)["rd"]
    return found
