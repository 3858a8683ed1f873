"""What `pip install` makes of the core, with a stand-in for it, in a copy of the sources without the models."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUB = Path(__file__).parent / "engines" / "native" / "stub.c"


def _setuptools() -> int:
    try:
        return int(importlib.metadata.version("setuptools").split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return 0


pytestmark = [
    pytest.mark.skipif(_setuptools() < 77, reason="setuptools 77 or newer is not installed: caecodec[dev]"),
    pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler"),
]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """With the stand-in for a core."""
    copy = tmp_path / "sources"
    copy.mkdir()
    ignored = shutil.ignore_patterns("*.safetensors", "__pycache__", "_core.*", "*.c")
    for folder in ("codec", "models", "bench"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copy(STUB, copy / "codec" / "core")
    return copy


def built(sources: Path, command: str = "bdist_wheel", **environment: str) -> tuple[str, list[str], str]:
    """Name of the wheel, its files, and what was said of the core."""
    shutil.rmtree(sources / "dist", ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", command, "--dist-dir", "dist"],
        cwd=sources,
        env=os.environ | {"CC": "", "CAECODEC_TARGET": ""} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (sources / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    said = [line for line in done.stderr.splitlines() if line.startswith("caecodec: ")]
    return wheel.name, names, "\n".join(said)


def libraries(names: list[str]) -> list[str]:
    return [name for name in names if "_core." in name]


@pytest.mark.long
def test_a_core_makes_a_wheel_of_this_platform_for_every_python(sources: Path) -> None:
    name, files, said = built(sources)
    assert "-py3-none-" in name
    assert not name.endswith("-any.whl")
    (library,) = libraries(files)
    assert library.startswith("caecodec/engines/native/_core.")
    assert not [f for f in files if "/core/" in f]
    assert said == ""
    # what was built before is not left in a wheel that has none
    name, files, said = built(sources, CAECODEC_TARGET="any")
    assert name.endswith("-py3-none-any.whl")
    assert not libraries(files)
    assert said == ""


@pytest.mark.long
def test_without_a_core_the_wheel_is_pure_and_one_line_says_why(sources: Path) -> None:
    name, files, said = built(sources, CC="/no/such/compiler")
    assert name.endswith("-py3-none-any.whl")
    assert not libraries(files)
    assert said.startswith("caecodec: a wheel without the native core")
    assert "/no/such/compiler" in said
    with (sources / "codec" / "core" / "stub.c").open("a") as file:
        file.write("\nint broken( {\n")
    name, files, said = built(sources)
    assert name.endswith("-py3-none-any.whl")
    assert "stub.c" in said
    assert "error" in said
    assert "\n" not in said
    (sources / "codec" / "core" / "stub.c").unlink()
    assert built(sources)[::2] == (name, "")  # nothing to compile, nothing to say


@pytest.mark.long
def test_an_editable_install_has_its_core_beside_the_sources(sources: Path) -> None:
    _, files, said = built(sources, "editable_wheel")
    assert said == ""
    assert not libraries(files)
    (library,) = (sources / "codec" / "engines" / "native").glob("_core.*")
    program = "import sys, pathlib; from caecodec.engines.native import library as l;"
    program += "print(l.Core(pathlib.Path(sys.argv[1])).kernels)"
    done = subprocess.run([sys.executable, "-c", program, library], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "portable"
    built(sources, "editable_wheel", CC="/no/such/compiler")
    assert not library.exists()  # an old one would be of another version
