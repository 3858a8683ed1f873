"""A plain install has neither torch nor safetensors: what works without them, in processes that cannot import them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BLOCKED = """
import sys

class Blocker:
    def __init__(self, *names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker(*sys.argv[1].split(",")))
"""

STORY = """
import numpy as np
import caecodec
from caecodec.zoo import find

assert {"cifar10", "mnist", "photo", "tiny"} < {info.name for info in find.installed()}
y, x = np.mgrid[0:32, 0:32]
colour = np.stack([8 * x, 8 * y, 255 - 4 * (x + y)], axis=2).astype(np.uint8)
ring = np.hypot(x[:28, :28] - 13, (y[:28, :28] - 14) * 0.7)
digit = (255 * np.exp(-((ring - 6) ** 2))).astype(np.uint8)
for model, image in (("cifar10", colour), ("cifar10-dense", colour), ("mnist", digit)):
    data = caecodec.encode(image, 80, model=model)
    assert caecodec.info(data).model == model
    decoded = np.asarray(caecodec.decode(data)).astype(int)
    error = np.mean((decoded - image) ** 2)
    assert decoded.shape == image.shape and error < 2000, (model, error)
try:
    caecodec.encode(colour, model="cifar10", device="cuda")
except caecodec.UsageError as exc:
    assert "needs torch" in str(exc)
else:
    raise AssertionError("CUDA without torch")
print("done")
"""

COMMAND = """
from caecodec.command.main import main
main(sys.argv[2:])
"""

SLOWER = """
import hashlib
from pathlib import Path
import numpy as np
import caecodec

for name in ("colour", "mnist", "tiny"):
    path = Path(sys.argv[2], name + ".cae")
    data = caecodec.decode(path, engine="numpy").tobytes()
    again = caecodec.encode(caecodec.decode(path, engine="numpy"), model=caecodec.info(path).model, engine="numpy")
    print(name, hashlib.sha256(data).hexdigest(), hashlib.sha256(again).hexdigest())
"""


def without(blocked: str, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + program, blocked, *map(str, arguments)],
        env=os.environ | {"PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
    )


def test_small_pictures_are_coded_and_decoded_without_torch() -> None:
    done = without("torch,safetensors", STORY)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_the_command_lists_models_and_checks_files_without_torch(cae_file: Path) -> None:
    listed = without("torch,safetensors", COMMAND, "models")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "cifar10" in listed.stdout
    assert without("torch,safetensors", COMMAND, "info", cae_file).returncode == 0
    assert without("torch,safetensors", COMMAND, "verify", cae_file).returncode == 0


def test_without_constriction_files_and_pixels_are_the_same() -> None:
    golden = Path(__file__).parent / "golden" / "v2"
    with_it, without_it = (without(blocked, SLOWER, golden) for blocked in ("nothing", "constriction"))
    assert without_it.stderr == ""
    assert without_it.stdout.count("\n") == 3
    assert without_it.stdout == with_it.stdout


def test_what_needs_torch_says_which_extra_brings_it(tmp_path: Path) -> None:
    for arguments in (
        ["train", "photo", "--data", tmp_path, "-o", tmp_path / "run"],
        ["export", "x.pt", "-o", tmp_path],
    ):
        done = without("torch,safetensors", COMMAND, *arguments)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "pip install 'caecodec[" in done.stderr
    called = without("torch", "from caecodec.engines.torch import start\nstart.load()")
    assert "UsageError" in called.stderr
    assert "pip install 'caecodec[torch]'" in called.stderr
