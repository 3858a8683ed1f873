from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support import photograph, run

from caecodec.bench.pictures import Picture, find_pictures
from caecodec.bench.table import markdown_of
from caecodec.bench.timing import report
from caecodec.bench.timing.processes import ChildError, Ran
from caecodec.bench.timing.results import Aim, SpeedResults, load_growth, load_speed
from caecodec.bench.timing.speed import measure_speed
from caecodec.errors import FileSystemError, UsageError

FAST = Aim(quality=50)


@dataclass
class Stage:
    """Workers that pretend, and what they were asked: (codec, request)."""

    log: list[tuple[str, str]] = field(default_factory=list)
    fails: dict[str, tuple[str, int]] = field(default_factory=dict)  # codec -> (request, the first time that fails)
    versions: dict[str, str] = field(default_factory=dict)
    open_workers: int = 0
    commands: list[str] = field(default_factory=list)

    def start(self, threads: int) -> Pretender:
        assert threads == 2
        self.open_workers += 1
        return Pretender(self)

    def execute(self, command: Sequence[str], threads: int) -> Ran:
        self.commands.append(command[-1])
        if command[-1] == self.fails.get("command", ("", 0))[0]:
            raise ChildError("the process ended with status 1 (out of ink)")
        return Ran(0.5, 100.0)

    def asked(self, *requests: str) -> list[str]:
        return [f"{codec} {do}" for codec, do in self.log if do in requests]


@dataclass
class Pretender:
    stage: Stage
    codec: str = ""

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        self.codec = arguments.get("codec", self.codec)
        self.stage.log.append((self.codec, do))
        request, first = self.stage.fails.get(self.codec, ("", 0))
        if do == request and self.stage.log.count((self.codec, do)) >= first:
            raise ChildError(f"RuntimeError: {self.codec} is broken")
        return {
            "version": self.stage.versions.get(self.codec, "1"),
            "threads": 2,
            "mib": 10.0,
            "seconds": 0.001 if do == "encode" else 0.002,
            "cpu_seconds": 0.0015,
            "bpp": 0.7,
            "psnr": 33.0,
            "quality": 42,
            "encode": [f"{self.codec} encodes"],
            "decode": [f"{self.codec} decodes"],
        }

    def close(self) -> None:
        self.stage.open_workers -= 1


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    (tmp_path / "pictures").mkdir()
    for name, width in (("a", 50), ("b", 100)):
        Image.fromarray(photograph(10, width)).save(tmp_path / "pictures" / f"{name}.png")
    return find_pictures([tmp_path / "pictures"])


def measured(
    stage: Stage, names: Sequence[str], pictures: Sequence[Picture], path: Path, **options: Any
) -> SpeedResults:
    settings = {"aim": FAST, "threads": 2, "rounds": 2, "start": stage.start, "execute": stage.execute} | options
    return measure_speed(names, pictures, path, **settings)


def test_codecs_take_turns(pictures: list[Picture], tmp_path: Path) -> None:
    stage = Stage()
    made = measured(stage, ["A", "B"], pictures, tmp_path / "s.json", rounds=3)
    one_round = ["A encode", "A decode", "B encode", "B decode"]
    warm_up = ["A encode", "B encode"]
    memory = one_round
    assert stage.asked("encode", "decode") == warm_up + 3 * one_round + memory
    cold_round = ["pass", "import torch", "A encodes", "A decodes", "B encodes", "B decodes"]
    assert stage.commands == 3 * cold_round
    assert stage.open_workers == 0
    assert [row.codec for row in made.codecs] == ["A", "B"]
    assert made.codecs[0].encode_mp_s == pytest.approx([1.5] * 3)
    assert made.codecs[0].decode_mp_s == pytest.approx([0.75] * 3)
    assert made.codecs[0].decode_cores == pytest.approx([0.75] * 3)
    assert made.codecs[0].cold_decode_s == (0.5, 0.5, 0.5)
    assert made.references == {"python": (0.5,) * 3, "import torch": (0.5,) * 3}
    assert (made.megapixels, made.single) == (0.0015, {"picture": "b", "megapixels": 0.001})


def test_the_quality_is_matched_or_given(pictures: list[Picture], tmp_path: Path) -> None:
    stage = Stage()
    given = measured(stage, ["A"], pictures, tmp_path / "q.json")
    assert (given.codecs[0].quality, stage.asked("match")) == (50, [])
    matched = measured(stage, ["A"], pictures, tmp_path / "b.json", aim=Aim(bpp=0.75))
    assert (matched.codecs[0].quality, stage.asked("match")) == (42, ["A match"])


def test_a_codec_that_fails_is_a_row_and_the_others_go_on(pictures: list[Picture], tmp_path: Path) -> None:
    stage = Stage(fails={"A": ("encode", 3), "C": ("open", 1)})  # A: in its second round
    made = measured(stage, ["A", "B", "C"], pictures, tmp_path / "s.json")
    broken, whole = made.codecs
    assert broken.error == "RuntimeError: A is broken"
    assert len(broken.encode_mp_s) == 1
    assert whole.error is None
    assert len(whole.cold_decode_s) == 2
    assert made.unavailable == {"C": "RuntimeError: C is broken"}
    assert [row.codec for row in made.failures] == ["A"]
    text = markdown_of(report.speed_tables(load_speed(tmp_path / "s.json")))
    assert "failed: RuntimeError: A is broken" in text
    mended = measured(Stage(), ["A"], pictures, tmp_path / "s.json")
    assert mended.failures == []
    assert len(mended.codecs[0].encode_mp_s) == 2


def test_without_any_codec_there_is_nothing_to_measure(pictures: list[Picture], tmp_path: Path) -> None:
    stage = Stage(fails={"A": ("open", 1)})
    with pytest.raises(UsageError, match="none of the codecs works here: RuntimeError: A is broken"):
        measured(stage, ["A"], pictures, tmp_path / "s.json")
    assert stage.open_workers == 0


def test_an_interrupted_run_keeps_its_rounds_and_goes_on(pictures: list[Picture], tmp_path: Path) -> None:
    def stop(done: int, of: int) -> None:
        assert of == 10
        if done == 3:
            raise KeyboardInterrupt

    path, stage = tmp_path / "s.json", Stage()
    with pytest.raises(KeyboardInterrupt):
        measured(stage, ["A", "B"], pictures, path, progress=stop)
    assert stage.open_workers == 0
    assert [len(row.encode_mp_s) for row in load_speed(path).codecs] == [2, 1]
    stage = Stage()
    measured(stage, ["A", "B"], pictures, path)
    assert stage.asked("decode") == ["B decode", "A decode", "B decode"]  # the last two for their memory
    again = Stage()
    made = measured(again, ["A", "B"], pictures, path)
    assert again.asked("encode", "decode") == []
    assert again.commands == []
    assert load_speed(path).codecs == made.codecs
    newer = Stage(versions={"A": "2"})
    made = measured(newer, ["A", "B"], pictures, path)
    assert newer.asked("decode") == ["A decode"] * 3
    assert {row.codec: row.version for row in made.codecs} == {"A": "2", "B": "1"}


def test_what_does_not_compare_is_not_mixed(pictures: list[Picture], tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    measured(Stage(), ["A"], pictures, path)
    with pytest.raises(UsageError, match=r"other aim: quality 50 there, about 0\.5 bpp now"):
        measured(Stage(), ["A"], pictures, path, aim=Aim(bpp=0.5))
    with pytest.raises(UsageError, match="other pictures; choose another --output"):
        measured(Stage(), ["A"], pictures[:1], path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path, pictures: list[Picture]) -> None:
    path = tmp_path / "s.json"
    with pytest.raises(FileSystemError, match="No such file"):
        load_speed(path)
    path.write_text("{")
    with pytest.raises(UsageError, match="not a results file of kind 'speed'"):
        load_speed(path)
    path.unlink()
    measured(Stage(), ["A"], pictures, path)
    with pytest.raises(UsageError, match="kind 'speed', format 2; expected kind 'growth'"):
        load_growth(path)
    document = json.loads(path.read_text())
    assert (document["format"], document["kind"], document["threads"], document["rounds"]) == (2, "speed", 2, 2)
    for spoiled in ({"encode_mp_s": ["fast"]}, {"encode_mp_s": 3}, {"codec": None}):
        entry = {k: v for k, v in (document["codecs"][0] | spoiled).items() if v is not None or k == "psnr"}
        path.write_text(json.dumps(document | {"codecs": [entry]}))
        with pytest.raises(UsageError, match="not a results file of kind 'speed'"):
            load_speed(path)


def test_speed_of_real_codecs_by_the_command(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    Image.fromarray(photograph(48, 64)).save(tmp_path / "pictures" / "a.png")
    Image.fromarray(photograph(32, 48)).save(tmp_path / "pictures" / "b.png")
    file = tmp_path / "speed.json"
    arguments = ["bench", "speed", tmp_path / "pictures", "--codecs", "caecodec,webp", "--bpp", "1.5"]
    done = run(*arguments, "--rounds", "1", "--threads", "1", "-o", file)
    assert (done.code, done.err) == (0, "")
    results = load_speed(file)
    assert [row.codec for row in results.codecs] == ["caecodec", "webp"]
    for row in results.codecs:
        assert row.error is None
        assert row.bpp == pytest.approx(1.5, rel=0.2)
        for values in (row.encode_mp_s, row.decode_mp_s, row.cold_encode_s, row.cold_decode_s):
            assert len(values) == 1
            assert values[0] > 0
        assert row.decode_peak_mib is not None
    ours, webp = results.codecs
    assert (ours.threads, webp.threads) == (1, None)
    assert (ours.decode_peak_mib or 0) > (webp.decode_peak_mib or 0)  # it keeps a model
    assert "caecodec" in done.out.decode()
    shown = run("bench", "speed", "--show", file, "--markdown")
    assert shown.code == 0
    assert "| codec | quality | bpp | PSNR | encode MP/s |" in shown.out.decode()


def test_the_command_reports_failures_at_the_end(tmp_path: Path) -> None:
    Image.new("RGB", (16384, 1)).save(tmp_path / "wide.png")  # WebP ends at 16383
    done = run(
        *("bench", "speed", tmp_path / "wide.png", "--codecs", "webp,jpeg", "-q", "50", "--rounds", "1"),
        *("--threads", "1", "-o", tmp_path / "s.json"),
    )
    assert done.code == 8
    assert "webp: ValueError: encoding error" in done.err
    assert "1 of 2 measurements failed" in done.err
    assert b"failed: ValueError" in done.out
    assert run("bench", "speed", "--show", tmp_path / "s.json").code == 0


def test_the_command_wants_pictures_or_results(tmp_path: Path) -> None:
    assert "name pictures to measure on, or results with --show" in run("bench", "speed").err
    both = run("bench", "speed", "a.png", "--show", tmp_path / "s.json")
    assert both.code == 2
    assert "leave out the pictures" in both.err
