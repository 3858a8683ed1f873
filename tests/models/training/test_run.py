"""`caecodec train`: what its options mean, what it refuses, what it says, and that a kill loses little."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from support import opened, photograph

from caecodec.errors import UsageError
from caecodec.models.data.pictures import EncodedPicture, Pool
from caecodec.models.training import photo, progress
from caecodec.models.training import recipe as recipes
from caecodec.models.training.run import run_recipe
from caecodec.models.training.trainer import Trainer


def test_a_folder_that_holds_a_run_is_not_overwritten(run: Path) -> None:
    with pytest.raises(UsageError, match="--resume"):
        run_recipe(str(run / "recipe.toml"), run / "run", device="cpu")
    with pytest.raises(UsageError, match="no run to resume"):
        run_recipe(str(run / "recipe.toml"), run / "nothing", device="cpu", resume=True)


def test_combinations_that_make_no_sense_are_refused(run: Path, tmp_path: Path) -> None:
    recipe, checkpoint = str(run / "recipe.toml"), run / "run" / "checkpoint.pt"
    with pytest.raises(UsageError, match="--from"):
        run_recipe(recipe, tmp_path / "a", device="cpu", decoder_only=True)
    with pytest.raises(UsageError, match="give one"):
        run_recipe(recipe, run / "run", device="cpu", resume=True, start=checkpoint)
    with pytest.raises(UsageError, match="another shape"):
        run_recipe("photo", tmp_path / "b", [str(run / "train")], device="cpu", start=checkpoint)
    with pytest.raises(UsageError, match="not a whole checkpoint"):
        run_recipe(recipe, tmp_path / "c", device="cpu", start=run / "recipe.toml")
    with pytest.raises(UsageError, match="no such folder"):
        run_recipe(recipe, tmp_path / "d", [str(tmp_path / "nowhere")], device="cpu")


def test_schedules_that_make_no_sense_are_refused(run: Path, tmp_path: Path) -> None:
    recipe, weights = str(run / "recipe.toml"), run / "run" / "weights.pt"
    with pytest.raises(UsageError, match="name its checkpoint with --branch"):
        run_recipe(recipe, tmp_path / "a", device="cpu", schedule="decay", start=weights)
    with pytest.raises(UsageError, match="give one of them"):
        run_recipe(recipe, tmp_path / "b", device="cpu", branch=weights, start=weights)
    with pytest.raises(UsageError, match=r"not the checkpoint\.pt of a run"):
        run_recipe(recipe, tmp_path / "c", device="cpu", branch=weights)
    with pytest.raises(UsageError, match="keeps the schedule"):
        run_recipe(recipe, run / "run", device="cpu", resume=True, schedule="constant")


def test_training_needs_no_entropy_coder() -> None:
    """An accelerator machine may lack constriction."""
    program = "import sys; sys.modules['constriction'] = None\nimport caecodec.models.training.run\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures, three of them too small to validate on."""
    (tmp_path / "pictures").mkdir()
    for i in range(12):
        side = 256 if i < 9 else 100
        Image.fromarray(photograph(side, side + 20, seed=i)).save(tmp_path / "pictures" / f"{i}.png")
    return tmp_path / "pictures"


def recipe_without_data(run: Path, into: Path, **train: object) -> str:
    """The recipe of `run`, its pictures left to --data; a path."""
    text = (run / "recipe.toml").read_text()
    kept = [line for line in text.splitlines() if not line.startswith(("train =", "validation =", *train))]
    settings = "\n".join(f"{key} = {value}" for key, value in train.items())
    into.write_text("\n".join(kept).replace("[train]", f"[train]\n{settings}") + "\n")
    return str(into)


def test_without_validation_pictures_some_are_held_out_said_and_never_trained_on(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[str] = []
    add = Pool.add

    def adding(pool: Pool, encoded: EncodedPicture, min_side: int) -> None:
        trained.append(encoded.name)
        add(pool, encoded, min_side)

    monkeypatch.setattr(Pool, "add", adding)
    recipe = recipe_without_data(run, tmp_path / "a.toml", steps=3)
    record = run_recipe(recipe, tmp_path / "run", [str(folder)], device="cpu")
    assert record["kind"] == "validation"
    (held_out,) = (tmp_path / "run" / "held-out.txt").read_text().splitlines()
    assert opened(folder / held_out).height >= 256
    assert sorted([*trained, held_out]) == sorted(p.name for p in folder.iterdir())
    assert f"held out to validate on: {held_out}" in capsys.readouterr().err


def test_a_half_copied_shard_does_not_end_a_run(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "half.tar").write_bytes((run / "train" / "more.tar").read_bytes()[:5000])
    recipe = recipe_without_data(run, tmp_path / "a.toml", steps=2)
    assert run_recipe(recipe, tmp_path / "run", [str(folder)], device="cpu")["kind"] == "validation"
    assert f"{folder / 'half.tar'}: cannot be read" in capsys.readouterr().err


def test_a_resumed_run_holds_out_what_it_held_out_before(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_recipe(recipe_without_data(run, tmp_path / "a.toml", steps=2), tmp_path / "run", [str(folder)], device="cpu")
    held_out = (tmp_path / "run" / "held-out.txt").read_text()
    other = next(p for p in folder.iterdir() if p.name != held_out.strip())
    for i in range(40):  # of which a fresh run would hold out more
        shutil.copy(other, folder / f"more-{i}.png")
    capsys.readouterr()
    longer = recipe_without_data(run, tmp_path / "a.toml", steps=3)
    run_recipe(longer, tmp_path / "run", [str(folder)], device="cpu", resume=True)
    assert (tmp_path / "run" / "held-out.txt").read_text() == held_out
    assert f"held out to validate on: {held_out}" in capsys.readouterr().err


def test_pictures_named_with_validation_are_all_that_is_validated_on(run: Path, folder: Path, tmp_path: Path) -> None:
    recipe = recipe_without_data(run, tmp_path / "a.toml", steps=2)
    run_recipe(recipe, tmp_path / "run", [str(folder)], [str(folder / "0.png")], device="cpu")
    assert not (tmp_path / "run" / "held-out.txt").exists()


@pytest.mark.parametrize("option", ["start", "branch"])
def test_a_run_that_starts_from_another_holds_out_what_that_one_did(
    run: Path, folder: Path, tmp_path: Path, option: str
) -> None:
    recipe = recipe_without_data(run, tmp_path / "a.toml", steps=2)
    run_recipe(recipe, tmp_path / "first", [str(folder)], device="cpu")
    (held_out,) = (tmp_path / "first" / "held-out.txt").read_text().splitlines()
    other = next(p.name for p in folder.iterdir() if p.name != held_out and opened(p).height >= 256)
    (tmp_path / "first" / "held-out.txt").write_text(f"{other}\n")  # not what is chosen afresh
    checkpoint = {option: tmp_path / "first" / "checkpoint.pt"}
    run_recipe(recipe, tmp_path / "second", [str(folder)], device="cpu", **checkpoint)
    assert (tmp_path / "second" / "held-out.txt").read_text() == f"{other}\n"


def test_a_run_resumed_with_validation_pictures_still_never_trains_on_what_it_held_out(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_recipe(recipe_without_data(run, tmp_path / "a.toml", steps=2), tmp_path / "run", [str(folder)], device="cpu")
    held_out = (tmp_path / "run" / "held-out.txt").read_text()
    trained: list[str] = []
    add = Pool.add

    def adding(pool: Pool, encoded: EncodedPicture, min_side: int) -> None:
        trained.append(encoded.name)
        add(pool, encoded, min_side)

    monkeypatch.setattr(Pool, "add", adding)
    capsys.readouterr()
    longer, named = recipe_without_data(run, tmp_path / "a.toml", steps=3), [str(run / "val.png")]
    run_recipe(longer, tmp_path / "run", [str(folder)], named, device="cpu", resume=True)
    assert sorted([*trained, held_out.strip()]) == sorted(p.name for p in folder.iterdir())
    assert (tmp_path / "run" / "held-out.txt").read_text() == held_out
    assert "held out to validate on" not in capsys.readouterr().err


def test_a_run_that_began_with_validation_pictures_is_not_resumed_without(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    recipe, named = recipe_without_data(run, tmp_path / "a.toml", steps=2), [str(run / "val.png")]
    run_recipe(recipe, tmp_path / "run", [str(folder)], named, device="cpu")
    longer = recipe_without_data(run, tmp_path / "a.toml", steps=3)
    with pytest.raises(UsageError, match=r"run began with --validation .* give it again"):
        run_recipe(longer, tmp_path / "run", [str(folder)], device="cpu", resume=True)
    assert not (tmp_path / "run" / "held-out.txt").exists()
    run_recipe(longer, tmp_path / "run", [str(folder)], named, device="cpu", resume=True)


def test_a_single_picture_to_train_on_is_refused_before_anything_is_written(run: Path, tmp_path: Path) -> None:
    recipe = recipe_without_data(run, tmp_path / "a.toml", steps=2)
    with pytest.raises(UsageError, match=r"one picture only, and none is left to train on .*--validation"):
        run_recipe(recipe, tmp_path / "run", [str(run / "val.png")], device="cpu")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["photo", "photo-s", "photo-hq"])
def test_a_recipe_that_names_no_pictures_asks_for_them(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"recipe {name} names no pictures to train on: .* with --data"):
        run_recipe(name, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_what_is_being_done_is_said_from_the_start(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.02)
    recipe = recipe_without_data(run, tmp_path / "a.toml", steps=40)
    run_recipe(recipe, tmp_path / "run", [str(folder)], device="cpu")
    said = capsys.readouterr().err
    places = [
        said.index(f"tiny: {what}\n")
        for what in ("looking for pictures", "reading pictures", "starting weights from the data", "first steps")
    ]
    assert places == sorted(places)
    # the first steps have a speed already, and later ones a loss
    assert re.search(r"tiny: first steps, \d+% of the run, step \d, \d+\.\d patches/s", said)
    assert re.search(r"tiny: training, \d+% of the run, step \d+, \d+\.\d patches/s, loss \d+\.\d{3}", said)
    assert re.search(r"tiny: step 40, 160 patches: bpp .*score", said)


def test_training_begins_with_what_could_be_read_in_a_while(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Pool.add
    monkeypatch.setattr(photo, "START_SECONDS", 0.0)
    monkeypatch.setattr(photo, "START_FEWEST", 2)
    release, waits_that_ended = threading.Event(), []

    def adding(pool: Pool, encoded: EncodedPicture, min_side: int) -> None:
        if len(pool) == 2:
            waits_that_ended.append(release.wait(60))  # a disk that has stalled
        add(pool, encoded, min_side)

    monkeypatch.setattr(Pool, "add", adding)
    recipe = recipe_without_data(run, tmp_path / "a.toml", steps=2)
    assert run_recipe(recipe, tmp_path / "run", [str(folder)], device="cpu")["kind"] == "validation"
    assert waits_that_ended == []  # all of the run was over while the disk stalled
    release.set()


def test_a_killed_process_has_left_what_resumes(run: Path, folder: Path, tmp_path: Path) -> None:
    recipe = recipe_without_data(run, tmp_path / "a.toml", steps=1_000_000, checkpoint_minutes=0.01)
    command = [sys.executable, "-m", "caecodec", "train", recipe, "--data", str(folder), "--device", "cpu"]
    process = subprocess.Popen([*command, "-o", str(tmp_path / "run")], stderr=subprocess.DEVNULL)
    try:
        kept, deadline = 0, time.monotonic() + 120
        while not kept and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
            if (tmp_path / "run" / "checkpoint.pt").exists():
                kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"]
    finally:
        process.kill()
        process.wait()
    assert kept > 0
    resumed = Trainer(
        recipes.load(recipe), tmp_path / "run", minutes=None, device="cpu", compile_model=False, seed=None
    )
    resumed.resume()
    assert resumed.state.step >= kept


@pytest.mark.long
def test_two_processes_hold_out_the_same_pictures_and_resume(run: Path, folder: Path, tmp_path: Path) -> None:
    def trained(steps: int, *more: str) -> int:
        recipe = recipe_without_data(run, tmp_path / "a.toml", steps=steps)
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        train = ["-m", "caecodec", "train", recipe, "--data", str(folder), "--device", "cpu"]
        done = subprocess.run(
            [*launch, *train, "-o", str(tmp_path / "run"), *more], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("held out to validate on") == 1  # the first process speaks
        kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
        assert kept["history"][-1]["processes"] == 2
        return int(kept["step"])

    assert trained(3) == 3
    held_out = (tmp_path / "run" / "held-out.txt").read_text()
    assert opened(folder / held_out.strip()).height >= 256
    assert trained(5, "--resume") == 5
    assert (tmp_path / "run" / "held-out.txt").read_text() == held_out
