from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import photograph, run

from caecodec.bench.pictures import Picture, find_pictures
from caecodec.bench.table import markdown_of
from caecodec.bench.timing import growth, report
from caecodec.bench.timing.growth import measure_growth
from caecodec.bench.timing.processes import ChildError, Ran
from caecodec.bench.timing.results import Aim, GrowthResults, SizeRow, load_growth
from caecodec.errors import UsageError


@dataclass
class Stage:
    """Workers that pretend, and the order of what was measured."""

    log: list[str] = field(default_factory=list)
    fails: str = ""  # on this line of the log
    open_workers: int = 0

    def start(self, threads: int) -> Pretender:
        self.open_workers += 1
        return Pretender(self)

    def execute(self, command: Sequence[str], threads: int) -> Ran:
        files = len(list(Path(command[4]).iterdir())) if command[3] == "encode" else 0
        self.note(f"{command[3]} {files} {' '.join(command[command.index('-q') :])}" if files else "decode")
        return Ran(2.0, 100.0 + len(self.log))

    def note(self, line: str) -> None:
        self.log.append(line)
        if line == self.fails:
            raise ChildError("RuntimeError: no ink")


@dataclass
class Pretender:
    stage: Stage
    codec: str = ""
    width: int = 0

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        self.codec = arguments.get("codec", self.codec)
        if do == "load":
            self.width = np.load(arguments["pictures"][0]).shape[1]
        if do in ("match", "encode"):
            self.stage.note(f"{self.codec} {do} {self.width}")
        if do == "save":
            Path(arguments["paths"][0]).write_text(str(self.width))
        if do == "take":
            self.width = int(Path(arguments["paths"][0]).read_text())
        seconds = self.width**2 * 1e-6
        return {"version": "1", "quality": 42, "seconds": seconds, "mib": 50.0 + len(self.stage.log)}

    def close(self) -> None:
        self.stage.open_workers -= 1


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    Image.fromarray(photograph(40, 60)).save(tmp_path / "a.png")
    return find_pictures([tmp_path / "a.png"])


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "BATCH_MEGAPIXELS", 0.0006)
    monkeypatch.setattr(growth, "MATCH_MEGAPIXELS", 0.0006)


def measured(
    stage: Stage, names: Sequence[str], pictures: Sequence[Picture], path: Path, **options: Any
) -> GrowthResults:
    settings: dict[str, Any] = {"aim": Aim(quality=50), "sizes": [0.0006, 0.0024], "batches": [1, 3], "threads": 1}
    settings |= {"rounds": 2, "start": stage.start, "execute": stage.execute} | options
    return measure_growth(names, pictures, path, **settings)


def test_a_round_is_every_codec_at_every_size(pictures: list[Picture], tmp_path: Path) -> None:
    stage = Stage()
    made = measured(stage, ["caecodec:tiny", "B"], pictures, tmp_path / "g.json")
    one_round = ["caecodec:tiny encode 30", "B encode 30", "caecodec:tiny encode 60", "B encode 60"]
    commands = ["encode 1 -q 50 --model tiny", "decode", "encode 3 -q 50 --model tiny", "decode"]
    assert stage.log == 2 * (one_round + commands)
    assert stage.open_workers == 0
    small = made.sizes[0]
    assert (small.codec, small.width, small.height, small.megapixels) == ("caecodec:tiny", 30, 20, 0.0006)
    assert small.encode_s == small.decode_s == (0.0009, 0.0009)
    assert small.encode_peak_mib == 50 + 9  # of the second round, which held more
    assert [(row.files, row.encode_s, row.megapixels) for row in made.batches] == [
        (1, (2.0, 2.0), 0.0006),
        (3, (2.0, 2.0), pytest.approx(0.0018)),
    ]


def test_what_is_done_is_not_done_again(pictures: list[Picture], tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        assert of == 12
        if done == 3:
            raise KeyboardInterrupt

    path, aim = tmp_path / "g.json", Aim(bpp=0.75)
    with pytest.raises(KeyboardInterrupt):
        measured(Stage(), ["caecodec", "B"], pictures, path, aim=aim, progress=stop)
    assert [len(row.encode_s) for row in load_growth(path).sizes] == [1, 1, 1]
    stage = Stage()
    made = measured(stage, ["caecodec", "B"], pictures, path, aim=aim)
    assert not [line for line in stage.log if "match" in line]  # the file has the qualities
    assert next(line for line in stage.log if "encode" in line) == "B encode 60"
    assert [len(row.encode_s) for row in made.sizes] == [2] * 4
    again = Stage()
    assert measured(again, ["caecodec", "B"], pictures, path, aim=aim).sizes == made.sizes
    assert again.log == []
    assert load_growth(path).batches == made.batches
    measured(again, ["B"], pictures, path, aim=aim, sizes=[0.0024, 0.0054])
    assert again.log == ["B encode 90"] * 2
    with pytest.raises(UsageError, match="other aim"):
        measured(Stage(), ["B"], pictures, path)


@pytest.mark.parametrize("fails", ["A encode 60", "A match 30"])
def test_a_failure_is_a_row_and_is_tried_again(fails: str, pictures: list[Picture], tmp_path: Path) -> None:
    path, aim = tmp_path / "g.json", Aim(bpp=0.75)
    made = measured(Stage(fails=fails), ["A", "B"], pictures, path, aim=aim)
    broken = [row.width for row in made.failures if isinstance(row, SizeRow)]
    assert broken == ([60] if "encode" in fails else [30, 60])
    assert {row.error for row in made.failures} == {"RuntimeError: no ink"}
    assert len([row for row in made.sizes if len(row.decode_s) == 2]) == 4 - len(broken)
    assert load_growth(path).sizes == made.sizes
    assert "failed: RuntimeError: no ink" in markdown_of(report.growth_tables(made))
    mended = measured(Stage(), ["A", "B"], pictures, path, aim=aim)
    assert mended.failures == []
    assert len(mended.sizes) == 4


def test_growth_of_real_codecs_by_the_command(pictures: list[Picture], tmp_path: Path) -> None:
    file = tmp_path / "growth.json"
    done = run(
        *("bench", "growth", pictures[0].path, "--codecs", "caecodec,jpeg", "-q", "40", "--rounds", "1"),
        *("--sizes", "0.001", "--batches", "2", "--threads", "1", "-o", file),
    )
    assert (done.code, done.err) == (0, "")
    results = load_growth(file)
    assert {(row.codec, row.width) for row in results.sizes} == {("caecodec", 39), ("jpeg", 39)}
    assert all(row.error is None and len(row.decode_s) == 1 for row in results.sizes)
    (batch,) = results.batches
    assert (batch.codec, batch.files, batch.error) == ("caecodec", 2, None)
    assert batch.encode_s[0] > 0.1  # it starts torch
    assert (batch.decode_peak_mib or 0) > 30


@pytest.mark.parametrize("option", [("--sizes", "0"), ("--sizes", "a"), ("--batches", "1.5"), ("--sizes", "nan")])
def test_sizes_that_are_no_numbers_are_refused(option: tuple[str, str], pictures: list[Picture]) -> None:
    done = run("bench", "growth", pictures[0].path, *option)
    assert done.code == 2
    assert option[0] in done.err
