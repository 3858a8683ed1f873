"""Codecs without code of ours: command lines of a TOML file, and entry points of other packages."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import photograph, psnr, run

from caecodec.bench.codecs import registry
from caecodec.bench.codecs.commands import makers
from caecodec.bench.codecs.pillow import jpeg
from caecodec.errors import UsageError

DEBIAN = Path(registry.__file__).with_name("debian.toml")
PACKAGES = {"cjxl": ("djxl", "libjxl-tools"), "cwebp": ("dwebp", "webp"), "avifenc": ("avifdec", "libavif-bin")}
# a codec of 4 lines: the picture as it is, with a byte for each step of quality in front
COPY = """
import sys
data = open(sys.argv[1], "rb").read()
open(sys.argv[2], "wb").write(bytes(int(sys.argv[3])) + data if len(sys.argv) > 3 else data.lstrip(bytes(1)))
"""


def toml(folder: Path, **changes: object) -> Path:
    """A file of one codec, `copy`; a change of None takes a key away."""
    (folder / "copy it.py").write_text(COPY)
    program = f'"{sys.executable}" "{folder / "copy it.py"}"'
    table: dict[str, object] = {
        "encode": f"{program} {{in}} {{out}} {{q}}",
        "decode": f"{program} {{in}} {{out}}",
        "version": f"{sys.executable} --version",
        "extension": "bin",
        "qualities": [1, 9],
    } | changes
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if value is not None]
    path = folder / "codecs.toml"
    path.write_text("[copy]\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("name", list(PACKAGES))
def test_debians_tools_are_measured_by_their_command_lines(name: str) -> None:
    decoder, package = PACKAGES[name]
    if not (shutil.which(name) and shutil.which(decoder)):
        pytest.skip(f"{name} is not installed (apt install {package})")
    codec = makers(DEBIAN)[name](name)
    picture = photograph(48, 64)
    sizes, errors = [], []
    for quality in codec.qualities:
        data = codec.encode(picture, quality)
        shown = codec.decode(data)
        assert (shown.shape, shown.dtype) == (picture.shape, np.uint8)
        sizes.append(len(data))
        errors.append(psnr(picture, shown))
    assert sizes == sorted(sizes)
    assert errors[-1] > 30
    assert errors[-1] > errors[0] + 3
    assert f"{name} " in codec.version


@pytest.mark.parametrize("picture", ["png", "ppm", "bmp", "tiff"])
def test_a_command_line_is_filled_and_run_without_a_shell(tmp_path: Path, picture: str) -> None:
    codec = makers(toml(tmp_path, picture=picture))["copy"]("copy")
    pixels = photograph(20, 30)
    data = codec.encode(pixels, 9)
    assert data.startswith(bytes(9))
    assert np.array_equal(codec.decode(data), pixels)
    assert codec.version.startswith("Python 3")
    assert "copy it.py" in codec.version


def test_bench_rd_measures_them_beside_the_others(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(photograph(32, 48)).save(tmp_path / "in/a.png")
    where = tmp_path / "in", "-o", tmp_path / "rd.json", "--metrics", "psnr"
    result = run("bench", "rd", *where, "--commands", toml(tmp_path), "--codecs", "copy,jpeg")
    assert result.code == 0
    rows = json.loads((tmp_path / "rd.json").read_text())["rows"]
    assert {row["codec"] for row in rows} == {"copy", "jpeg"}
    assert [row["psnr"] for row in rows if row["codec"] == "copy"] == [None, None]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decode": None}, r"\[copy\]: decode missing"),
        ({"encode": "x {in} {q}"}, r"encode lacks \{out\}"),
        ({"qualities": "1,2"}, "a list of whole numbers"),
        ({"qualities": []}, "a list of whole numbers"),
        ({"picture": "gif"}, "choose png, ppm"),
        ({"quality": 3}, "quality is unknown"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        makers(toml(tmp_path, **changes))


def test_a_program_that_is_not_there_or_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such-encoder is not installed"):
        makers(toml(tmp_path, encode="no-such-encoder {in} {out} {q}"))["copy"]("copy")
    codec = makers(toml(tmp_path, encode=f"{sys.executable} -c 'raise ValueError(1)' {{in}} {{out}} {{q}}"))["copy"](
        "copy"
    )
    with pytest.raises(OSError, match="ValueError: 1"):
        codec.encode(photograph(8, 8), 1)


def test_another_package_brings_codecs_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.metadata.EntryPoint("my-jpeg", f"{__name__}:make", registry.GROUP)
    lost = importlib.metadata.EntryPoint("lost", "no_such_package:make", registry.GROUP)

    class Fake:
        make = staticmethod(jpeg({}))

    monkeypatch.setitem(sys.modules, __name__, Fake)
    entries = lambda group: [there, lost] if group == registry.GROUP else []  # noqa: E731
    monkeypatch.setattr(importlib.metadata, "entry_points", entries)
    opened, missing = registry.open_codecs(["my-jpeg", "lost"])
    assert [codec.name for codec in opened] == ["my-jpeg"]
    assert "no_such_package" in missing["lost"]
    assert {"my-jpeg", "caecodec"} <= set(registry.known_names(["all"]))


def test_two_codecs_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="a codec jpeg already"):
        registry.open_codecs(["jpeg"], {"jpeg": jpeg({})})
