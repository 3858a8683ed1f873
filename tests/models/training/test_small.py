"""Training on data sets of tiny pictures: as drawn, as codec, tiny; from a recipe to a file that decodes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import psnr

import caecodec
from caecodec.errors import UsageError
from caecodec.models.export.autoencoder import cluster
from caecodec.models.export.model_file import export, load_checkpoint
from caecodec.models.networks.autoencoder import NETWORKS, AutoencoderConfig, AutoencoderModel, max_pool, max_unpool
from caecodec.models.networks.rate_model import MixturePrior
from caecodec.models.networks.tiny import TinyConfig
from caecodec.models.training import checkpoint, pauses, small
from caecodec.models.training import recipe as recipes
from caecodec.models.training.recipe import SetData
from caecodec.models.training.run import run_recipe
from caecodec.models.training.trainer import Trainer
from caecodec.zoo import find

SETS = {"fashion-mnist": 28, "mnist": 28}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two sets of 360 blurred blobs in three classes, as .npz files."""
    folder = tmp_path_factory.mktemp("sets")
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:28, 0:28]
    found = {}
    for name in SETS:
        labels = np.arange(360) % 3
        places = random.uniform(8, 20, (360, 2))
        size = 3 + 2 * labels[:, None, None]
        pictures = np.exp(-((x - places[:, :1, None]) ** 2 + (y - places[:, 1:, None]) ** 2) / size**2)
        found[name] = folder / f"{name}.npz"
        np.savez(
            found[name], images=(255 * pictures).astype(np.uint8), labels=labels, classes=np.array(["a", "b", "c"])
        )
    return found


def short(name: str, folder: Path, **train: object) -> str:
    """A shipped recipe with a schedule of seconds, as a file; its path."""
    text = recipes.load(name).text
    for key, value in {"epochs": 2, "warmup_steps": 2, **train}.items():
        lines = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
        text = "\n".join(lines).replace("[train]", f"[train]\n{key} = {value}")
    path = folder / f"{name}.toml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def drawn(sets: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of fashion-mnist as drawn."""
    folder = tmp_path_factory.mktemp("drawn")
    recipe = short("fashion-mnist", folder, epochs=30)
    run_recipe(recipe, folder / "run", [str(sets["fashion-mnist"])], device="cpu", drawn=True)
    return folder


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_training_as_drawn_learns_and_leaves_its_pictures(drawn: Path) -> None:
    # the mean picture comes to 15.6 dB
    assert rows(drawn / "run")[-1]["psnr"] > 16  # type: ignore[operator]
    assert (drawn / "run" / "curve.png").stat().st_size > 1000
    with Image.open(drawn / "run" / "grid.png") as grid:
        assert grid.size == (16 * 34, 2 * 34)
    _, record = load_checkpoint(drawn / "run" / "weights.pt")
    assert record["config"]["form"] == "drawn"
    with pytest.raises(UsageError, match="as drawn"):
        export(drawn / "run" / "weights.pt", drawn / "out")


def test_a_codec_starts_from_what_was_drawn_and_makes_files(
    drawn: Path, sets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = [str(sets["fashion-mnist"])]
    recipe = short("fashion-mnist", tmp_path, epochs=12)
    run_recipe(recipe, tmp_path / "run", data, device="cpu", start=drawn / "run" / "weights.pt")
    record = rows(tmp_path / "run")[-1]["fashion-mnist"]
    assert record["bytes"] == sorted(record["bytes"])  # type: ignore[index]
    path = export(tmp_path / "run" / "checkpoint.pt", tmp_path / "models", "blobs")
    monkeypatch.setenv(find.PATH_VARIABLE, str(tmp_path / "models"))
    picture = np.load(sets["fashion-mnist"])["images"][5]
    files = [caecodec.encode(picture, q, model="blobs") for q in (1, 100)]
    assert len(files[0]) < len(files[1])
    assert psnr(np.asarray(caecodec.decode(files[1])), picture) > 18
    card = path.with_suffix(".md").read_text()
    assert "bytes" in card
    assert 'kind = "fashion-mnist"' in card


def test_the_bits_of_training_are_the_bytes_of_files(
    drawn: Path, sets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = short("mnist", tmp_path, epochs=4)
    run_recipe(recipe, tmp_path / "run", [str(sets["mnist"])], device="cpu")
    export(tmp_path / "run" / "checkpoint.pt", tmp_path / "models", "places")
    monkeypatch.setenv(find.PATH_VARIABLE, str(tmp_path / "models"))
    model, _ = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    pictures = np.load(sets["mnist"])["images"][:40]
    x = torch.from_numpy(pictures)[:, None].float() / 255
    with torch.no_grad():
        bits = float(model(x, torch.ones(40), hard=True)["bits"].sum())
    written = sum(len(caecodec.encode(p, 100, model="places", precision="float32")) - 18 for p in pictures)
    # tables stand for their neighbours (a few percent), and a stream ends on a whole byte
    assert bits / 8 * 0.9 < written < bits / 8 * 1.08 + 40


def test_tiny_trains_on_sets_by_name_and_resumes(sets: dict[str, Path], tmp_path: Path) -> None:
    recipe = recipes.load("tiny")
    paths = (str(sets["mnist"]), str(sets["fashion-mnist"]))
    data = SetData(sets=("mnist", "fashion-mnist"), weights=(0.5, 0.5), paths=paths)
    narrow = TinyConfig(ga_width=16, ga_depth=1, gs_width=16, gs_depth=1, context_width=16, context_hidden=16)
    recipe = replace(recipe, data=data, model=narrow, train=replace(recipe.train, epochs=3, batch=32))
    options = {"minutes": None, "device": "cpu", "compile_model": False, "seed": None}
    first = Trainer(recipe, tmp_path, **options)  # type: ignore[arg-type]
    record = first.train()
    assert {"mnist", "fashion-mnist", "score"} <= record.keys()
    second = Trainer(recipe, tmp_path, **options)  # type: ignore[arg-type]
    second.resume()
    assert (second.state.step, second.state.patches) == (first.state.step, first.state.patches)
    for mine, theirs in zip(second.state.model.parameters(), first.state.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("loss", ["mse", "bce", "ssim", "ms-ssim"])
def test_every_loss_trains_a_denoising_autoencoder(sets: dict[str, Path], tmp_path: Path, loss: str) -> None:
    recipe = short("mnist-fixed", tmp_path, epochs=20, lr=1e-2, ema=0.9, loss=f'"{loss}"')
    text = Path(recipe).read_text().replace("[data]", "[data]\nnoise_std = 0.2")
    Path(recipe).write_text(text.split("[drawn]")[0] + "[drawn]\n")  # which has a loss of its own
    record = run_recipe(recipe, tmp_path / "run", [str(sets["mnist"])], device="cpu", drawn=True, seed=3)
    assert 10 < record["noisy_psnr"] < 20
    with Image.open(tmp_path / "run" / "grid.png") as grid:
        assert grid.height == 3 * 34  # what was, what was seen, and what came back
    model, _ = load_checkpoint(tmp_path / "run" / "weights.pt")
    fresh = AutoencoderModel(AutoencoderConfig("mnist", form="drawn", unpool="fixed")).eval()
    x = torch.from_numpy(np.load(sets["mnist"])["images"][:50])[:, None].float() / 255
    noisy = (x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    with torch.no_grad():
        errors = [float((m(noisy)["x_hat"] - x).square().mean()) for m in (fresh, model)]
    assert errors[1] < 0.8 * errors[0]


def test_a_seed_decides_a_run(sets: dict[str, Path], tmp_path: Path) -> None:
    recipe, data = short("mnist-fixed", tmp_path, epochs=1), [str(sets["mnist"])]
    scores = []
    for number, seed in enumerate((5, 5, 6)):
        out = tmp_path / str(number)
        scores.append(run_recipe(recipe, out, data, device="cpu", drawn=True, seed=seed)["mse"])
    assert scores[0] == scores[1] != scores[2]


def test_when_a_run_is_saved_changes_nothing_of_what_it_learns(
    sets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "MOST_SHARE", 1.0)
    save, saved, scores = checkpoint.save, [], []
    monkeypatch.setattr(checkpoint, "save", lambda run, state: saved.append(state.step) or save(run, state))
    for minutes in (9.0, 0.0):
        recipe = short("mnist-fixed", tmp_path, epochs=10, checkpoint_minutes=minutes)
        record = run_recipe(recipe, tmp_path / f"{minutes}", [str(sets["mnist"])], device="cpu", seed=5)
        scores.append(record["score"])
    assert saved[:2] == [0, 20]
    assert len(saved) > 5
    assert scores[0] == scores[1]


def test_patience_ends_a_run_with_its_best_weights(
    sets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, seen = [5.0, 3.0, 4.0, 2.0, 6.0, 2.5, 2.5], []

    def validate(_task: small.SmallTask, model: torch.nn.Module) -> dict[str, float]:
        seen.append(next(model.parameters()).detach().clone())
        return {"score": scores[len(seen) - 1]}

    monkeypatch.setattr(small, "FEWEST_STEPS", 2)
    monkeypatch.setattr(small.SmallTask, "validate", validate)
    recipe = short("mnist-fixed", tmp_path, epochs=200, patience=2)
    record = run_recipe(recipe, tmp_path / "run", [str(sets["mnist"])], device="cpu", drawn=True)
    validations = [row for row in rows(tmp_path / "run") if row["kind"] == "validation"]
    # two that were no better than the fourth end it; then the end validates
    assert [(row["step"], row["score"]) for row in validations] == [*zip((2, 4, 6, 8, 10, 12, 12), scores, strict=True)]
    assert record["score"] == 2.0
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert kept["validation"]["score"] == 2.0
    assert torch.equal(next(iter(kept["ema"].values())), seen[3])
    assert not torch.equal(seen[3], seen[5])


def test_a_class_can_be_left_out(sets: dict[str, Path], tmp_path: Path) -> None:
    recipe, data = short("mnist", tmp_path), [str(sets["mnist"])]
    run_recipe(recipe, tmp_path / "run", data, device="cpu", drawn=True, without="b")
    assert load_checkpoint(tmp_path / "run" / "weights.pt")[1]["without"] == "b"
    assert run_recipe(recipe, tmp_path / "run", data, device="cpu", drawn=True, without="b", resume=True)
    with pytest.raises(UsageError, match="trained on 'a' as well"):
        run_recipe(recipe, tmp_path / "run", data, device="cpu", drawn=True, without="a", resume=True)
    start = tmp_path / "run" / "weights.pt"
    with pytest.raises(UsageError, match="trained on 'c' as well"):
        run_recipe(recipe, tmp_path / "new", data, device="cpu", without="c", start=start)
    with pytest.raises(UsageError, match="with or without --drawn"):
        run_recipe(recipe, tmp_path / "run", data, device="cpu", without="b", resume=True)
    with pytest.raises(UsageError, match="no class 'x'; it has a, b, c"):
        run_recipe(recipe, tmp_path / "other", data, device="cpu", without="x")


def test_what_makes_no_sense_is_refused(sets: dict[str, Path], tmp_path: Path) -> None:
    cases = [
        ("photo", [], {"drawn": True}, "as drawn"),
        ("tiny", [str(sets["mnist"])], {}, "name every data set"),
        ("mnist", [str(sets["mnist"])], {"validation": ["x"]}, "held out"),
        ("mnist", [str(sets["mnist"])], {"decoder_only": True, "start": Path("x")}, "photo model"),
        ("cifar10", [str(sets["mnist"])], {}, "32x32x3"),
        ("photo", [], {"without": "cat"}, "photographs have none"),
    ]
    for recipe, data, options, message in cases:
        with pytest.raises(UsageError, match=message):
            run_recipe(recipe, tmp_path / "run", data, device="cpu", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_an_autoencoder_keeps_its_shapes(kind: str) -> None:
    model = AutoencoderModel(AutoencoderConfig(kind, form="drawn", units=32))
    x = torch.rand(2, *model.network.picture)
    y, places = model.network.encode(x)
    assert y.shape == (2, *model.network.latent)
    assert [tuple(p.shape[1:]) for p in places] == list(model.network.cells)
    x_hat = model(x)["x_hat"]
    assert x_hat.shape == x.shape
    assert ((x_hat >= 0) & (x_hat <= 1)).all()


def test_the_networks_have_the_sizes_their_authors_state() -> None:
    cifar10 = AutoencoderModel(AutoencoderConfig("cifar10", form="drawn"))
    assert sum(p.numel() for p in cifar10.parameters()) == pytest.approx(3.1e6, rel=0.01)
    assert cifar10.network.latent == (512, 4, 4)
    assert AutoencoderModel(AutoencoderConfig("cifar100", form="drawn")).network.latent == (128, 1, 1)
    assert AutoencoderModel(AutoencoderConfig("fashion-mnist", form="drawn")).network.latent == (8, 4, 4)


def test_unpooling_by_places_undoes_pooling_where_the_maximum_was() -> None:
    x = torch.arange(32.0).reshape(1, 2, 4, 4)[:, :, :, torch.tensor([3, 0, 2, 1])]
    value, place = max_pool(x)
    back = max_unpool(value, place)
    assert torch.equal(max_pool(back)[0], value)
    assert torch.equal(back[back > 0], x[back > 0])
    assert int((back > 0).sum()) == value.numel()
    reference, index = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(value, reference)
    assert torch.equal(back, torch.nn.functional.max_unpool2d(reference, index, 2))
    fixed = max_unpool(value, None)
    assert torch.equal(fixed[:, :, ::2, ::2], value)
    assert float(fixed.sum()) == float(value.sum())


def test_the_mixture_prior_is_a_density_and_fits_one() -> None:
    torch.manual_seed(1)
    prior = MixturePrior(2)
    values = torch.stack((torch.randn(4000), torch.rand(4000) ** 3 * 9))[None, :, :, None]
    prior.start_at(values)
    edges = torch.arange(-300.0, 300.0)[:, None].expand(-1, 2)
    assert torch.allclose(prior.mass(edges, edges + 1).sum(0), torch.ones(2), atol=1e-4)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.02)
    gain = torch.ones(1, 2, 1, 1)
    before = float(prior.bits(values, gain).mean().detach())
    for _ in range(150):
        optimizer.zero_grad()
        prior.bits(values, gain).mean().backward()
        optimizer.step()
    after = prior.bits(values, gain).mean((0, 2, 3)).detach()
    assert float(after.mean()) < before - 0.05
    # a standard normal in cells of one step costs 2.1 bits
    assert float(after[0]) == pytest.approx(2.1, abs=0.05)


def test_tables_stand_for_near_distributions() -> None:
    random = np.random.default_rng(0)
    scales = np.exp(random.uniform(0, 3, 500))
    k = np.arange(-60, 61)
    masses = np.exp(-np.abs(k) / scales[:, None])
    masses /= masses.sum(1, keepdims=True)
    tables, nearest = cluster(masses, 32)
    assert len(tables) <= 32
    lost = (masses * (np.log2(masses) - np.log2(tables[nearest]))).sum(1)
    assert lost.max() < 0.03
