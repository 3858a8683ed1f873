from __future__ import annotations

import pytest

from caecodec.bench.timing.processes import THREAD_VARIABLES


@pytest.fixture(autouse=True)
def keep_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in THREAD_VARIABLES:
        monkeypatch.setenv(variable, "1")
