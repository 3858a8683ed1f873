"""The native core under libFuzzer, with the sanitizers of clang: hostile streams and hostile models."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import core_models
import numpy as np
import pytest
from core_library import CORE

from caecodec.entropy.tables import Tables
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.latents.tiny import ContextLatents
from caecodec.latents.tiny_network import ContextNetwork

TARGETS = Path(__file__).parent / "targets"
SECONDS = int(os.environ.get("CAECODEC_FUZZ_SECONDS", "60"))
FLAGS = (
    *("-std=gnu11", "-g", "-O2", "-fno-omit-frame-pointer"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"),
)
# no comparisons: what is compared with bytes of a stream was computed from them
WATCHED = ("-fsanitize=fuzzer-no-link", "-fno-sanitize-coverage=trace-cmp")
SHORT = "malloc_context_size=3:quarantine_size_mb=16"  # of what ASan keeps: thousands of allocations for each stream

pytestmark = pytest.mark.slow


# small ones, of odd sizes, and one whose sums come near their bounds
MODELS: dict[str, core_models.TensorDict] = {
    "photo": core_models.photo(1, n=12, z=8, psi=13, context=11, width=9),
    "extreme": core_models.photo(3, n=8, z=8, psi=6, context=10, width=6, depth=1, extreme=True),
    "dependent": core_models.photo(4, n=12, z=8, psi=6, context=7, width=6, depth=1, dense=8),
    "tiny": core_models.tiny(5, groups=(3, 4, 6), splits=(4, 2, 1), adapted=5, hidden=7, width=6),
}


def model_file(name: str) -> bytes:
    return core_models.safetensors(MODELS[name], "tiny" if name == "tiny" else "photo")


def stream(name: str, shape: tuple[int, int], quality: int, spread: float) -> bytes:
    """One that is valid, of latents of a spread, in steps."""
    tensors, random = MODELS[name], np.random.default_rng(1)
    tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
    y = random.laplace(0, spread, (*shape, tensors["quality.to_u"].shape[1])).astype(np.float32)
    if name == "tiny":
        return ContextLatents(ContextNetwork(tensors), tables).encode(y[None], quality, False)[0][0]
    coarse = (-(-shape[0] // 4), -(-shape[1] // 4), tensors["quality.z_to_u"].shape[1])
    z = random.laplace(0, spread, coarse).astype(np.float32)
    return LatentCodec(EntropyNetwork(tensors), tables).encode(y, z, quality)[0]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The core, compiled for fuzzers; skips the tests where clang or its fuzzer is missing."""
    if shutil.which("clang") is None:
        pytest.skip("no clang: install it, with its runtime library, to run fuzzers")
    folder = tmp_path_factory.mktemp("objects")
    (folder / "empty.c").write_text("int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n ? 0 : 0; }")
    if clang("-fsanitize=fuzzer", folder / "empty.c", "-o", folder / "empty").returncode != 0:
        pytest.skip("clang has no fuzzer here: install its runtime library")
    found = []
    for source in sorted(CORE.glob("*.c")):
        found.append(folder / f"{source.stem}.o")
        # kernels go the same way whatever the numbers: nothing in them to be found by watching
        watched = () if source.stem.startswith("kernels_") or source.stem == "self_test" else WATCHED
        done = clang("-c", *FLAGS, *watched, source, "-o", found[-1])
        assert done.returncode == 0, done.stderr[-3000:]
    return found


def clang(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["clang", *map(str, arguments)], capture_output=True, text=True)


def build(target: str, objects: list[Path], folder: Path) -> Path:
    """A fuzzer."""
    out = folder / target
    source = TARGETS / f"{target}.c"
    done = clang(*FLAGS, "-fsanitize=fuzzer", f"-I{CORE}", source, *objects, "-o", out, "-lpthread", "-lm")
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def fuzz(program: Path, corpus: Path, folder: Path, most_bytes: int, environment: dict[str, str]) -> None:
    limits = (f"-max_total_time={SECONDS}", f"-max_len={most_bytes}", "-timeout=20", "-rss_limit_mb=2048")
    done = subprocess.run(
        [str(program), *limits, f"-artifact_prefix={folder}/", str(corpus)],
        env=os.environ | {"ASAN_OPTIONS": SHORT} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    print(*done.stderr.splitlines()[-2:], sep="\n", file=sys.stderr)


def test_hostile_streams(objects: list[Path], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    paths = []
    for which, name in enumerate(MODELS):
        paths.append(tmp_path / f"{name}.safetensors")
        paths[-1].write_bytes(model_file(name))
        for rows, columns, quality, spread in ((1, 1, 1, 1), (1, 3, 50, 3), (2, 2, 100, 40), (6, 1, 20, 3000)):
            head = bytes((which, quality - 1, rows - 1, columns - 1))
            (corpus / f"{name}-{quality}").write_bytes(head + stream(name, (rows, columns), quality, spread))
    fuzz(build("core", objects, tmp_path), corpus, tmp_path, 300, {"CAECODEC_FUZZ_MODELS": ":".join(map(str, paths))})


def test_hostile_models(objects: list[Path], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in MODELS:
        (corpus / name).write_bytes(model_file(name))
    fuzz(build("model", objects, tmp_path), corpus, tmp_path, 1 << 18, {})
