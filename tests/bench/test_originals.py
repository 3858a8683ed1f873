from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from support import encoded, photograph

from caecodec.bench import originals
from caecodec.bench.originals import Original
from caecodec.bench.pictures import find_pictures
from caecodec.errors import FileSystemError, InputImageError, UsageError

SOURCE = Original("a.png", "owner/name", "0" * 40, "photos/a.png", "CC0-1.0", (4, 2, 44, 22), 0.5, "")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def clones(tmp_path: Path) -> Path:
    """A repository OWNER/NAME with one picture as a blob."""
    clone = tmp_path / "clones" / "owner+name"
    clone.mkdir(parents=True)
    git(clone, "init", "-q")
    (clone / "a.png").write_bytes(encoded(Image.fromarray(photograph(30, 50))))
    return tmp_path / "clones"


@pytest.mark.parametrize(("name", "at_least"), [("words", 20), ("screens", 5)])
def test_every_picture_of_a_manifest_has_its_source_its_licence_and_a_name_of_its_own(name: str, at_least: int) -> None:
    sources = originals.load_manifest(originals.manifest(name))
    assert len(sources) >= at_least
    assert len({source.file for source in sources}) == len(sources)
    assert len({source.sha256 for source in sources}) == len(sources)
    for source in sources:
        left, top, right, bottom = source.box
        assert 0 <= left < right
        assert 0 <= top < bottom
        assert 0 < source.scale <= 1
        assert source.licence
        assert source.repository.count("/") == 1
        assert len(source.blob) == 40
        assert source.file.endswith(".png")


def test_a_picture_is_cut_reduced_and_written_and_its_hash_is_that_of_the_results(clones: Path, tmp_path: Path) -> None:
    blob = git(clones / "owner+name", "hash-object", "-w", "a.png").strip()
    source = replace(SOURCE, blob=blob)
    assert originals.make([source], clones, tmp_path / "out") == ["a.png"]
    (picture,) = find_pictures([tmp_path / "out"])
    assert (picture.width, picture.height) == (20, 10)
    assert originals.make([replace(source, sha256=picture.sha256)], clones, tmp_path / "out") == []


def test_originals_are_turned_upright_and_set_on_white() -> None:
    turned = Image.fromarray(photograph(30, 50))
    turned.getexif()[0x0112] = 6  # shown turned by 90 degrees, clockwise
    whole = replace(SOURCE, box=(0, 0, 30, 50), scale=1)
    shown = originals.cut(encoded(turned, exif=turned.getexif()), whole)
    assert np.array_equal(shown, np.rot90(photograph(30, 50), -1))
    clear = Image.new("RGBA", (30, 50), (255, 0, 0, 0))
    assert (originals.cut(encoded(clear), whole) == 255).all()
    with pytest.raises(InputImageError, match="owner/name"):
        originals.cut(b"no picture", whole)


def test_a_missing_clone_or_original_is_named(clones: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no blob 0000"):
        originals.make([SOURCE], clones, tmp_path / "out")
    with pytest.raises(UsageError, match=r"no clone of .*other/name"):
        originals.make([replace(SOURCE, repository="other/name")], clones, tmp_path / "out")
    result = CliRunner().invoke(originals.main, ["words", str(tmp_path / "clones"), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "no clone of" in result.output


def test_another_table_is_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    with pytest.raises(FileSystemError):
        originals.load_manifest(path)
    path.write_text("file\tlicence\n")
    with pytest.raises(UsageError, match="expected file, repository"):
        originals.load_manifest(path)
    head = originals.manifest("words").read_text(encoding="utf-8").splitlines()[0]
    for line in ("a.png\towner/name\t0\ta\tCC0\t0,0,x,9\t1\t0", "a.png\towner/name"):
        path.write_text(f"{head}\n{line}\n")
        with pytest.raises(UsageError, match="not a manifest"):
            originals.load_manifest(path)
