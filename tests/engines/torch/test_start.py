"""How torch's threads wait is settled when it is imported, for this process alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from caecodec.engines.torch import start
start.load()
import torch
print(torch.seen, os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE None"), ("ACTIVE", "ACTIVE ACTIVE")])
def test_threads_sleep_unless_the_user_says_otherwise(tmp_path: Path, given: str | None, expected: str) -> None:
    (tmp_path / "torch.py").write_text("import os\nseen = os.environ.get('OMP_WAIT_POLICY')\n")  # stands for torch
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | {"PYTHONPATH": str(tmp_path)}
    if given is not None:
        environment["OMP_WAIT_POLICY"] = given
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_a_codec_is_made_by_loading_torch_so() -> None:
    program = "from caecodec.codecs import opening; opening.start.load = lambda: print('asked'); opening.open_codec()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "asked"
