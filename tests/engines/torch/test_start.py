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
    program = "from caecodec.engines import opening; opening.start.load = lambda: print('asked'); opening.arithmetic()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "asked"


FORKED = """
import multiprocessing
import numpy as np
from caecodec.codecs.opening import open_codec
from caecodec.pictures.picture import from_array
from caecodec.search.choice import lossy

pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)  # enough for several threads

def size():
    return len(lossy(open_codec(), from_array(pixels), 40))

def child(queue):
    queue.put(size())

expected = size()
context = multiprocessing.get_context("fork")
queue = context.Queue()
process = context.Process(target=child, args=(queue,))
process.start()
assert queue.get(timeout=60) == expected
process.join()
print("same")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_codes_as_its_parent_did() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", FORKED], env=environment, capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "same\n"


def test_threads_of_a_torch_that_came_first_are_made_calm() -> None:
    program = (
        "import threading, torch; torch.set_num_threads(2); from caecodec.engines.torch import start; start.load();"
        "print([t.name for t in threading.enumerate()][1:], torch.get_num_threads())"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OMP")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "['caecodec-calm'] 2\n"
