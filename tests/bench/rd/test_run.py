from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import photograph

from caecodec.bench.codecs.registry import open_codec
from caecodec.bench.metrics import metrics
from caecodec.bench.pictures import Picture, Pixels, find_pictures, load_pixels
from caecodec.bench.rd.results import load_rd
from caecodec.bench.rd.run import measure_rd


@dataclass(frozen=True)
class Counting:
    """Keeps the high bits of each sample; writes a file's name per call so that calls in any process count."""

    calls: Path
    name: str = "counting"
    version: str = "1"
    qualities: tuple[int, ...] = (2, 4, 8)
    fails_on: int = 0  # width of the pictures it cannot do
    extension: str = "raw"

    def encode(self, array: Pixels, quality: int) -> bytes:
        if array.shape[1] == self.fails_on:
            raise RuntimeError("cannot do this one")
        (self.calls / f"{quality}-{array.shape[1]}-{len(list(self.calls.iterdir()))}").touch()
        height, width, _ = array.shape
        return bytes([height, width]) + (array >> (8 - quality) << (8 - quality)).tobytes()

    def decode(self, data: bytes) -> Pixels:
        return np.frombuffer(data[2:], np.uint8).reshape(data[0], data[1], 3)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, width in (("a", 24), ("b", 32)):
        Image.fromarray(photograph(16, width)).save(folder / f"{name}.png")
    return find_pictures([folder])


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    (tmp_path / "calls").mkdir()
    return Counting(tmp_path / "calls")


def calls(codec: Counting) -> int:
    return len(list(codec.calls.iterdir()))


def test_bytes_are_the_sizes_of_files(pictures: list[Picture], tmp_path: Path) -> None:
    jpeg = open_codec("jpeg")
    made = measure_rd([jpeg], pictures, tmp_path / "r.json", qualities=[30, 80])
    assert len(made.rows) == 4
    for row in made.rows:
        picture = next(p for p in pictures if p.name == row.picture)
        file = tmp_path / "x.jpg"
        with Image.open(picture.path) as image:
            image.save(file, quality=row.quality)
        assert row.bytes == file.stat().st_size
        assert row.bpp == 8 * file.stat().st_size / (row.width * row.height)
        with Image.open(file) as image, Image.open(picture.path) as original:
            error = np.mean((np.asarray(image, float) - np.asarray(original, float)) ** 2)
        assert row.mse == pytest.approx(error)
        assert row.psnr == pytest.approx(10 * math.log10(255**2 / error))


def test_what_is_done_is_not_done_again(pictures: list[Picture], counting: Counting, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    first = measure_rd([counting], pictures[:1], path)
    assert calls(counting) == 3
    measure_rd([counting], pictures, path)
    assert calls(counting) == 6
    again = measure_rd([counting], pictures, path)
    assert calls(counting) == 6
    assert again.rows[:3] == first.rows
    assert load_rd(path).rows == again.rows


def test_another_version_or_other_pixels_are_measured_again(
    pictures: list[Picture], counting: Counting, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    measure_rd([counting], pictures, path)
    made = measure_rd([replace(counting, version="2")], pictures, path)
    assert calls(counting) == 12
    assert {row.version for row in made.rows} == {"2"}
    Image.fromarray(255 - photograph(16, 24)).save(pictures[0].path)
    measure_rd([replace(counting, version="2")], find_pictures([pictures[0].path]), path)
    assert calls(counting) == 15


def test_a_failing_codec_is_a_row_with_its_message_and_is_tried_again(
    pictures: list[Picture], counting: Counting, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    made = measure_rd([replace(counting, fails_on=24)], pictures, path)
    assert len(made.rows) == 6
    assert [row.error for row in made.failures] == ["RuntimeError: cannot do this one"] * 3
    assert load_rd(path).rows == made.rows
    assert made.complete("counting") == {"b"}
    with pytest.raises(ValueError, match="cannot do this one"):
        _ = made.failures[0].bpp
    assert len(measure_rd([counting], pictures, path, qualities=[8]).failures) == 2  # nobody asked for those
    assert measure_rd([counting], pictures, path).failures == []
    assert calls(counting) == 6


def test_processes_give_the_same_rows(pictures: list[Picture], tmp_path: Path) -> None:
    jpeg = open_codec("jpeg")
    alone = measure_rd([jpeg], pictures, tmp_path / "1.json", qualities=[20, 60])
    seen: list[tuple[int, int]] = []
    together = measure_rd(
        [jpeg],
        pictures,
        tmp_path / "2.json",
        qualities=[20, 60],
        processes=2,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert together.rows == alone.rows
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_interrupted_run_keeps_what_it_has(pictures: list[Picture], counting: Counting, tmp_path: Path) -> None:
    def stop(done: int, _of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    path = tmp_path / "r.json"
    with pytest.raises(KeyboardInterrupt):
        measure_rd([counting], pictures, path, progress=stop)
    assert len(load_rd(path).rows) == 2
    measure_rd([counting], pictures, path)
    assert calls(counting) == 6
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


def test_the_file_says_where_it_was_made_and_a_lossless_row_has_no_psnr(
    pictures: list[Picture], counting: Counting, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    measure_rd([counting], pictures, path, unavailable={"other": "no library"})
    document = json.loads(path.read_text())
    assert (document["format"], document["kind"]) == (2, "rd")
    assert {"cpu", "python", "packages", "date", "codecs", "commit"} <= document["environment"].keys()
    assert document["environment"]["codecs"] == {"counting": "1"}
    assert document["unavailable"] == {"other": "no library"}
    lossless = [row for row in document["rows"] if row["quality"] == 8]
    assert [(row["psnr"], row["mse"]) for row in lossless] == [(None, 0.0)] * 2
    assert [row.psnr for row in load_rd(path).rows if row.quality == 8] == [math.inf] * 2


def test_metrics_are_in_the_rows_where_the_picture_is_large_enough(pictures: list[Picture], tmp_path: Path) -> None:
    made = measure_rd([open_codec("jpeg")], pictures, tmp_path / "r.json", qualities=[50], asked=tuple(metrics.ASKABLE))
    for row, picture in zip(made.rows, pictures, strict=True):
        pixels = load_pixels(picture.path)
        shown = open_codec("jpeg").decode(open_codec("jpeg").encode(pixels, 50))
        assert row.ssim == pytest.approx(metrics.ssim(pixels, shown), abs=1e-6)
        assert row.ssimulacra2 == pytest.approx(metrics.measure("ssimulacra2", pixels, shown), abs=1e-6)
        assert row.ms_ssim is None  # 16 pixels high
    assert '"ms_ssim"' not in (tmp_path / "r.json").read_text()
    assert load_rd(tmp_path / "r.json").rows == made.rows


def test_a_row_without_a_metric_asked_for_is_measured_again_and_others_are_not(
    pictures: list[Picture], counting: Counting, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    plain = measure_rd([counting], pictures, path)
    assert [row.ssim for row in plain.rows] == [None] * 6
    with_ssim = measure_rd([counting], pictures, path, asked=("ssim",))
    assert calls(counting) == 12
    assert all(row.ssim is not None for row in with_ssim.rows)
    assert measure_rd([counting], pictures, path, asked=("ssim", "ms_ssim")).rows == with_ssim.rows  # too small for it
    assert measure_rd([counting], pictures, path).rows == with_ssim.rows
    assert calls(counting) == 12


def test_a_metric_of_an_earlier_implementation_is_not_read_and_its_row_measured_again_when_it_is_asked_for(
    pictures: list[Picture], counting: Counting, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    measure_rd([counting], pictures, path, asked=("ssim", "ssimulacra2"))
    measured = path.read_text()
    assert measured.count('"ssimulacra2.1":') == 6
    # as rows have it that the package ssimulacra2 measured
    path.write_text(re.sub(r'"ssimulacra2\.1":[-\d.]+', '"ssimulacra2":12.5', measured))
    outdated = load_rd(path)
    assert [row.ssimulacra2 for row in outdated.rows] == [None] * 6
    assert all(row.lacks(("ssimulacra2",)) and not row.lacks(("ssim",)) for row in outdated.rows)
    before = calls(counting)
    measure_rd([counting], pictures, path, asked=("ssim",))
    assert calls(counting) == before  # the rows stand
    measure_rd([counting], pictures, path, asked=("ssim", "ssimulacra2"))
    assert calls(counting) == before + 6
    assert load_rd(path).rows == [
        *measure_rd([counting], pictures, tmp_path / "new.json", asked=("ssim", "ssimulacra2")).rows
    ]
    assert '"ssimulacra2":' not in path.read_text()


def test_kept_files_have_the_sizes_of_the_rows(pictures: list[Picture], counting: Counting, tmp_path: Path) -> None:
    path, folder = tmp_path / "r.json", tmp_path / "keep"
    jpeg = open_codec("jpeg")
    made = measure_rd([jpeg, counting], pictures, path, qualities=[2, 4], keep=folder)
    sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in folder.rglob("*.*")}
    extensions = {"jpeg": "jpg", "counting": "raw"}
    assert sizes == {f"{r.codec}/{r.picture}-q{r.quality}.{extensions[r.codec]}": r.bytes for r in made.rows}
    assert len(sizes) == 8
    before = calls(counting)
    (folder / "counting" / "a-q2.raw").unlink()
    (folder / "counting" / "b-q4.raw").write_bytes(b"cut")
    assert measure_rd([jpeg, counting], pictures, path, qualities=[2, 4], keep=folder).rows == made.rows
    assert calls(counting) == before + 2
    assert (folder / "counting" / "b-q4.raw").stat().st_size > 3


def test_parts_sum_to_the_bytes_of_the_file(pictures: list[Picture], counting: Counting, tmp_path: Path) -> None:
    codecs = [open_codec("caecodec"), open_codec("jpeg")]
    made = measure_rd([*codecs, counting], pictures, tmp_path / "r.json", qualities=[4])
    for row in made.rows:
        if row.codec == "counting":
            assert row.parts is None
        else:
            assert row.parts is not None
            assert sum(row.parts.values()) == row.bytes
    loaded = load_rd(tmp_path / "r.json")
    assert loaded.rows == made.rows
    assert loaded.mean_points("jpeg", {"a", "b"})[0].parts is not None
    assert loaded.mean_points("counting", {"a", "b"})[0].parts is None


def test_a_row_that_lacks_a_metric_is_not_lost_when_the_run_that_adds_it_is_cut_short(
    pictures: list[Picture], counting: Counting, tmp_path: Path
) -> None:
    path = tmp_path / "results.json"
    before = measure_rd([counting], pictures, path)

    def cut(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_rd([counting], pictures, path, asked=("ssim",), progress=cut)
    after = load_rd(path)
    assert [row.key for row in after.rows] == [row.key for row in before.rows]
