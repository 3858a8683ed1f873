"""The whole way of a model: a recipe, a run, a kill, a resume, an export, a picture coded with it."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import encoded, photograph
from support import run as run_command

import caecodec
from caecodec.errors import FileSystemError, ModelError, UsageError
from caecodec.models.data import pictures as data
from caecodec.models.data.loader import Loader
from caecodec.models.export.model_file import export, load_checkpoint, tensors_of
from caecodec.models.training import recipe as recipes
from caecodec.models.training.trainer import Trainer, learning_rate_factor, run_recipe
from caecodec.zoo import find

RECIPE = """
name = "tiny"
description = "for tests"
[model]
family = "photo"
n = 16
z = 8
ga_width = 16
ga_depth = 1
gs_width = 16
gs_depth = 1
hyper_width = 16
context_width = 16
[data]
train = ["{train}"]
validation = ["{validation}"]
start_pictures = 4
[train]
batch = 4
crop = 64
final_crop = 64
steps = {steps}
warmup_steps = 2
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a few steps on a folder with a picture and a tar shard."""
    base = tmp_path_factory.mktemp("training")
    (base / "train").mkdir()
    for i in range(4):
        Image.fromarray(photograph(96, 128, seed=i)).save(base / "train" / f"{i}.png")
    Image.fromarray(photograph(300, 300, seed=9)).save(base / "val.png")
    with tarfile.open(base / "train" / "more.tar", "w") as shard:
        shard.add(base / "val.png", "inside.png")
    (base / "recipe.toml").write_text(
        RECIPE.format(train=(base / "train").as_posix(), validation=(base / "val.png").as_posix(), steps=120)
    )
    run_recipe(str(base / "recipe.toml"), base / "run", device="cpu")
    return base


def test_training_lowers_the_loss_and_leaves_its_record(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"train", "validation"} == {row["kind"] for row in rows}
    assert rows[-1]["kind"] == "validation"
    assert rows[-1]["bpp"] == sorted(rows[-1]["bpp"])
    assert (run / "run" / "curve.png").stat().st_size > 1000
    assert (run / "run" / "recipe.toml").read_text() == (run / "recipe.toml").read_text()


KILLED = 30  # step


def test_a_killed_run_resumes_where_its_checkpoint_stopped(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes.load(run / "recipe.toml")
    recipe = replace(recipe, train=replace(recipe.train, steps=50, checkpoint_minutes=0.0))
    first = Trainer(recipe, tmp_path, minutes=None, device="cpu", compile_model=False, seed=None)
    monkeypatch.setattr(first.task, "validate", lambda _: {"score": 0.0})  # which every step would do
    save = first.save

    def save_and_die() -> None:
        save()
        if first.step == KILLED:
            raise KeyboardInterrupt

    monkeypatch.setattr(first, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    recipe = replace(recipe, train=replace(recipe.train, checkpoint_minutes=4.0))  # no validation after every step
    second = Trainer(recipe, tmp_path, minutes=None, device="cpu", compile_model=False, seed=None)
    second.resume()
    assert second.step == KILLED
    assert second.patches == 4 * KILLED
    assert second.elapsed > 0
    for mine, theirs in zip(second.model.parameters(), first.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    mine, theirs = second.optimizer.state_dict()["state"], first.optimizer.state_dict()["state"]
    assert mine.keys() == theirs.keys() != set()
    assert all(torch.equal(mine[k]["v"], theirs[k]["v"]) for k in mine)
    # other crops than the first run began with
    assert not torch.equal(crops_after_loading(second, run), crops_after_loading(first, run))
    assert second.run()["kind"] == "validation"
    assert second.step == recipe.train.steps


def crops_after_loading(trainer: Trainer, run: Path) -> torch.Tensor:
    for source in data.sources([run / "train"]):
        trainer.task.pool.add(source, 64)
    return trainer.task.pool.batch(4, 64)


def test_a_larger_recipe_begins_where_the_smaller_one_ended(run: Path, tmp_path: Path) -> None:
    text = (run / "recipe.toml").read_text()
    depth = next(line for line in text.splitlines() if line.startswith("ga_depth"))
    # one step, so early in the warm-up that it hardly moves anything
    larger = text.replace(depth, "ga_depth = 5").replace("steps = 120", "steps = 1")
    larger = larger.replace("warmup_steps = 2", "warmup_steps = 1000")
    assert larger.count("ga_depth = 5") == larger.count("steps = 1\n") == 1
    (tmp_path / "larger.toml").write_text(larger)
    ended = json.loads((run / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    begun = run_recipe(str(tmp_path / "larger.toml"), tmp_path / "run", device="cpu", start=run / "run" / "weights.pt")
    assert begun["score"] == pytest.approx(ended["score"], abs=0.01)


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


def test_decoder_only_training_leaves_the_encoder_alone(run: Path, tmp_path: Path) -> None:
    start = run / "run" / "checkpoint.pt"
    run_recipe(str(run / "recipe.toml"), tmp_path / "fine", device="cpu", start=start, decoder_only=True)
    before, _ = load_checkpoint(start)
    after, _ = load_checkpoint(tmp_path / "fine" / "checkpoint.pt")
    changed = {
        name
        for (name, a), (_, b) in zip(before.state_dict().items(), after.state_dict().items(), strict=True)
        if not torch.equal(a, b)
    }
    assert not any(name.startswith(("g_a.", "h_a.")) or name in ("log_gain", "log_gain_z") for name in changed)
    assert any(name.startswith("g_s.") for name in changed)
    assert any(name.startswith("context.") for name in changed)


def test_an_exported_model_codes_pictures_and_its_files_name_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export(run / "run" / "checkpoint.pt", run / "models")
    picture = photograph(70, 90, seed=2)
    data = caecodec.encode(picture, 60, model=str(path))
    with pytest.raises(ModelError, match=find.PATH_VARIABLE):
        caecodec.decode(data)
    monkeypatch.setenv(find.PATH_VARIABLE, str(run / "models"))
    back = np.asarray(caecodec.decode(data))
    assert back.shape == picture.shape
    assert caecodec.info(data).model == "tiny"
    assert 10 * np.log10(255**2 / np.square(back.astype(float) - picture).mean()) > 20


def test_export_writes_a_card_and_does_not_overwrite(run: Path, tmp_path: Path) -> None:
    path = export(run / "run" / "checkpoint.pt", tmp_path, "mine", {"data": "made-up pictures, CC0"})
    card = path.with_suffix(".md").read_text()
    assert "made-up pictures, CC0" in card
    assert "120 steps, 480 patches" in card
    with pytest.raises(FileSystemError, match="exists"):
        export(run / "run" / "checkpoint.pt", tmp_path, "mine")
    with pytest.raises(UsageError, match="not a whole checkpoint"):
        export(run / "recipe.toml", tmp_path, "other")


def test_export_fits_tables_and_checks_what_it_wrote(run: Path, tmp_path: Path) -> None:
    checkpoint, pictures = run / "run" / "checkpoint.pt", run / "val.png"
    plain = find.load(str(export(checkpoint, tmp_path, "plain"))).tensors
    result = run_command(
        "export", checkpoint, "-o", tmp_path, "--name", "fitted", "--fit", pictures, "--check", pictures
    )
    assert result.code == 0, result.err
    assert result.out.count(b"bits in float") == 3
    fitted = find.load(str(tmp_path / "fitted.safetensors")).tensors
    assert [name for name in plain if not np.array_equal(plain[name], fitted[name])] == ["table.frequencies"]
    assert "fitted to val.png" in (tmp_path / "fitted.md").read_text()
    refused = run_command("export", checkpoint, "-o", tmp_path, "--name", "none", "--fit", run / "train" / "0.png")
    assert refused.code == 2
    assert "at least 256x256" in refused.err
    assert not (tmp_path / "none.safetensors").exists()


def test_export_is_the_same_every_time(run: Path) -> None:
    a, b = (tensors_of(load_checkpoint(run / "run" / "checkpoint.pt")[0]) for _ in range(2))
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_a_changed_tensor_is_refused(run: Path, tmp_path: Path) -> None:
    path = export(run / "run" / "checkpoint.pt", tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="do not hash"):
        find.load(str(path))


def test_shards_that_arrive_later_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from caecodec.models.data import loader as loading

    monkeypatch.setattr(loading, "RESCAN_SECONDS", 0.05)
    Image.fromarray(photograph(80, 80, seed=0)).save(tmp_path / "a.png")
    pool = data.Pool(torch.device("cpu"), seed=0)
    loader = Loader(pool, [tmp_path], 64, (0, 1))
    loader.start()
    assert loader.first_pass_done.wait(30)
    assert len(pool) == 1
    Image.fromarray(photograph(80, 80, seed=1)).save(tmp_path / "hidden.tmp", "PNG")
    (tmp_path / "hidden.tmp").rename(tmp_path / "b.png")
    for _ in range(600):
        if len(pool) == 2:
            break
        loader.join(0.05)
    assert len(pool) == 2
    loader.stop()


def test_every_process_gets_its_share_of_a_folder(tmp_path: Path) -> None:
    for i in range(5):
        Image.fromarray(photograph(80, 80, seed=i)).save(tmp_path / f"{i}.png")
    shares = []
    for rank in range(2):
        pool = data.Pool(torch.device("cpu"), seed=0)
        loader = Loader(pool, [tmp_path], 64, (rank, 2))
        loader.start()
        assert loader.first_pass_done.wait(30)
        loader.stop()
        shares.append(len(pool))
    assert shares == [2, 3]


def test_what_cannot_be_read_is_left_out_with_a_warning(tmp_path: Path) -> None:
    Image.fromarray(photograph(80, 80)).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8 not a picture")
    (tmp_path / "partial.tar").write_bytes(b"x" * 700)
    warnings: list[str] = []
    pool = data.Pool(torch.device("cpu"), seed=0)
    loader = Loader(pool, [tmp_path], 64, (0, 1), warnings.append)
    loader.start()
    assert loader.first_pass_done.wait(30)
    loader.stop()
    assert loader.failure is None
    assert len(pool) == 1
    assert any("bad.jpg" in w for w in warnings)
    assert any("partial.tar" in w for w in warnings)


def test_the_pool_stops_at_its_bound() -> None:
    pool = data.Pool(torch.device("cpu"), seed=0, max_megapixels=0.01)
    source = data.Source("a.png", encoded(Image.fromarray(photograph(80, 80))))
    for _ in range(5):
        pool.add(source, 64)
    assert pool.full
    assert len(pool) == 2


def test_drawing_while_another_thread_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "read", lambda _source, _shrink=1.0: torch.zeros(4, 4, 3, dtype=torch.uint8))
    pool = data.Pool(torch.device("cpu"), seed=0)
    source = data.Source("a.png", b"")
    pool.add(source, 2)
    adder = threading.Thread(target=lambda: [pool.add(source, 2) for _ in range(3000)])
    adder.start()
    while adder.is_alive():
        pool.batch(1, 2)
    adder.join()
    assert len(pool) == 3001


def test_a_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    text = RECIPE.format(train="x", validation="y", steps=1).replace("crop = 64", "corp = 64", 1)
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ValueError, match="unknown key corp"):
        recipes.load(tmp_path / "bad.toml")


def test_shipped_recipes_load() -> None:
    assert {recipes.load(name).model.n for name in ("photo", "photo-s", "photo-hq")} == {448}


def test_the_learning_rate_warms_up_stays_and_ends_at_zero() -> None:
    config = recipes.load("photo").train
    assert learning_rate_factor(0.0, 0, config) == pytest.approx(1 / config.warmup_steps)
    assert learning_rate_factor(0.5, 10_000, config) == 1.0
    assert learning_rate_factor(0.8, 10_000, config) == pytest.approx(0.5)
    assert learning_rate_factor(1.0, 10_000, config) == 0.0


def test_a_constant_schedule_never_falls_and_a_decay_begins_at_once() -> None:
    config = recipes.load("photo").train
    assert learning_rate_factor(0.0, 0, config, "constant") == pytest.approx(1 / config.warmup_steps)
    assert learning_rate_factor(0.99, 10_000, config, "constant") == 1.0
    assert learning_rate_factor(0.0, 0, config, "decay") == 1.0
    assert learning_rate_factor(0.75, 0, config, "decay") == pytest.approx(0.25)


def test_a_decay_branches_off_a_constant_run_with_its_optimiser_and_leaves_it_alone(run: Path, tmp_path: Path) -> None:
    recipe = recipes.load(run / "recipe.toml")
    recipe = replace(recipe, train=replace(recipe.train, steps=20))
    options = {"minutes": None, "device": "cpu", "compile_model": False, "seed": None}
    constant = Trainer(recipe, tmp_path / "constant", schedule="constant", **options)  # type: ignore[arg-type]
    constant.start_from(run / "run" / "weights.pt")
    constant.minutes = 0.05
    constant.run()
    kept = constant.checkpoint.read_bytes()
    whole = torch.load(constant.checkpoint, weights_only=True)
    decay = Trainer(recipe, tmp_path / "decay", schedule="decay", **options)  # type: ignore[arg-type]
    decay.branch_from(constant.checkpoint)
    for name, value in decay.model.state_dict().items():
        assert torch.equal(value, whole["model"][name]), name
    steps = {int(state["step"]) for state in decay.optimizer.state_dict()["state"].values()}
    assert min(steps) == whole["step"] > 0
    decay.run()
    assert decay.step == 20
    assert constant.checkpoint.read_bytes() == kept
    assert [part["schedule"] for part in torch.load(decay.checkpoint, weights_only=True)["history"]][-2:] == [
        "constant",
        "decay",
    ]


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


def test_training_for_the_eye_logs_and_validates_what_it_sees(run: Path, tmp_path: Path) -> None:
    text = (run / "recipe.toml").read_text().replace("warmup_steps = 2", "warmup_steps = 2\neye_share = 0.5")
    (tmp_path / "eye.toml").write_text(text.replace("steps = 120", "steps = 10"))
    record = run_recipe(str(tmp_path / "eye.toml"), tmp_path / "run", device="cpu")
    assert len(record["ssimulacra2"]) == len(record["psnr"])
    assert record["ssimulacra2"] == sorted(record["ssimulacra2"])
    assert np.isfinite(record["eye_score"])


def test_training_needs_no_entropy_coder() -> None:
    """An accelerator machine may lack constriction."""
    program = "import sys; sys.modules['constriction'] = None\nimport caecodec.models.training.trainer\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
