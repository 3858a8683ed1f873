"""The context of z trained alone, and begun with the prior that z had before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from small_photo import SMALL, trained
from support import photograph
from torch import Tensor

from caecodec.entropy.tables import Tables
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.export.model_file import load_checkpoint, tensors_of
from caecodec.models.networks.layers import interpolate
from caecodec.models.networks.photo import PhotoModel
from caecodec.models.networks.rate_model import SCALE_STEP, gaussian_bits, scale_of_index
from caecodec.models.training import context_z

LEVEL = torch.tensor([0.4])


def before_it_had_one(model: PhotoModel) -> dict[str, Tensor]:
    """Weights with one mean and one scale for each channel of z."""
    own = ("context_z.", "psi_z")
    weights = {key: value.clone() for key, value in model.state_dict().items() if not key.startswith(own)}
    channels = torch.arange(model.config.z)
    weights["z_mean"] = 0.1 * (channels - 3) * weights["log_gain_z"].exp()
    weights["z_index"] = 20.0 + channels + weights["log_gain_z"] / SCALE_STEP
    return weights


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 1), (2, 4), (3, 5)])
def test_it_begins_with_the_prior_that_z_had(shape: tuple[int, int]) -> None:
    weights = before_it_had_one(trained(SMALL))
    model = context_z.with_context(weights, SMALL)
    z = 3 * torch.randn(2, SMALL.z, *shape)
    gain = interpolate(weights["log_gain_z"], LEVEL).exp()
    mean, index = (interpolate(weights[key], LEVEL) for key in ("z_mean", "z_index"))
    symbols = torch.floor(z * gain - mean + 0.5)
    expected = gaussian_bits(symbols, scale_of_index(index)).sum((1, 2, 3))
    found = context_z.bits(model, z, LEVEL.expand(2), hard=True)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 3), (5, 2)])
def test_the_integers_take_as_many_bits_at_extents_that_are_odd_too(shape: tuple[int, int]) -> None:
    model = trained(replace(SMALL, z_context_depth=2))
    tensors = tensors_of(model)
    codec = LatentCodec(EntropyNetwork(tensors), Tables.of(tensors["table.frequencies"], tensors["table.tail"]))
    z = torch.randn(1, SMALL.z, *shape)
    gain = np.asarray(tensors["float.gain_z"], np.float32)[49]
    _, found = codec.psi(z[0].permute(1, 2, 0).numpy() * gain, 50)
    expected = context_z.bits(model, z, torch.tensor([49 / 99]), hard=True).item()
    assert found == pytest.approx(expected, rel=0.02)


def test_training_finds_what_cells_and_channels_have_in_common() -> None:
    """Of channels that all follow one smooth field most bits are saved; what is not its own stays as it is."""
    torch.manual_seed(1)
    model = trained(SMALL)
    fields = [torch.nn.functional.avg_pool2d(torch.randn(1, 1, 20, 20), 5, 1)[0] for _ in range(40)]
    shared = [20 * field.expand(SMALL.z, -1, -1) + 0.3 * torch.randn(SMALL.z, *field.shape[1:]) for field in fields]
    others = {key: value.clone() for key, value in model.state_dict().items()}
    before = context_z.measured(model, shared[:8])
    context_z.train(model, shared[8:], 40, 4, 1e-2, np.random.default_rng(0))
    after = context_z.measured(model, shared[:8])
    assert all(new < 0.8 * old for old, new in zip(before, after, strict=True))
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, others[key])}
    assert moved
    assert all(key.startswith(("context_z.", "psi_z")) for key in moved)


def test_what_the_context_reads_fits_at_qualities_where_no_range_was_met() -> None:
    """Anchors lie between the levels at which ranges are met, and nothing clamps a table."""
    model = trained(SMALL)
    with torch.no_grad():
        model.psi_z[1] *= 1000
    assert np.abs(tensors_of(model)["quality.z_psi"]).max() == 8191


def test_pictures_too_small_to_train_on_are_said_so() -> None:
    with pytest.raises(ValueError, match="at least 512x512"):
        context_z.train(trained(SMALL), [torch.zeros(SMALL.z, 7, 9)], 1, 1, 1e-3, np.random.default_rng(0))


def test_a_file_that_is_no_checkpoint_of_these_sizes_is_refused(tmp_path: Path) -> None:
    torch.save({"ema": {"a": torch.zeros(1)}}, tmp_path / "other.pt")
    options = ["--data", str(tmp_path), "--validation", str(tmp_path), "-o", str(tmp_path / "new.pt")]
    done = CliRunner().invoke(context_z.main, [str(tmp_path / "other.pt"), *options])
    assert done.exit_code == 2
    assert "not a checkpoint of the sizes of photo" in done.output


def test_the_command_writes_a_checkpoint_that_goes_on(tmp_path: Path) -> None:
    for seed in range(3):
        Image.fromarray(photograph(512, 576, seed)).save(tmp_path / f"{seed}.png")
    family = "\n".join(f"{key} = {value}" for key, value in SMALL.to_dict().items())
    recipe = f'name = "small"\ndescription = "small"\n[model]\nfamily = "photo"\n{family}\n[data]\n[train]\n'
    (tmp_path / "small.toml").write_text(recipe)
    state = {"ema": before_it_had_one(trained(SMALL)), "config": SMALL.to_dict(), "recipe": recipe, "step": 7}
    torch.save(state | {"optimizer": {}}, tmp_path / "old.pt")
    options = ["--recipe", str(tmp_path / "small.toml"), "--data", str(tmp_path), "--validation", str(tmp_path)]
    more = ["--steps", "3", "--batch", "2", "--cache", str(tmp_path / "z.pt"), "-o", str(tmp_path / "new.pt")]
    for _ in range(2):  # the second from the cache
        done = CliRunner().invoke(context_z.main, [str(tmp_path / "old.pt"), *options, *more], catch_exceptions=False)
        assert "3 pictures, 3 held out" in done.output
    model, record = load_checkpoint(tmp_path / "new.pt")
    assert isinstance(model, PhotoModel)
    assert record["step"] == 7
    assert record["history"][-1]["only"] == "context_z"
    assert record["validation"] == {}
