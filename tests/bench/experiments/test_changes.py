"""Every change of code changes what the model does, and what it trains on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from caecodec.bench.experiments.list import EXPERIMENTS, find
from caecodec.models.networks import photo, rate_model
from caecodec.models.networks.photo import PhotoConfig, PhotoModel
from caecodec.models.training import grow
from caecodec.models.training import photo as photo_task

CHANGED = [e.name for e in EXPERIMENTS if e.patch is not None]
OWNERS = (photo, photo.Analysis, photo.Synthesis, photo.Context, PhotoModel, rate_model, photo_task)


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    """What a change replaces for the rest of its process is there again for the next one."""
    before = [(owner, dict(vars(owner))) for owner in OWNERS]
    yield
    for owner, parts in before:
        for name, part in parts.items():
            if vars(owner)[name] is not part:
                setattr(owner, name, part)
        for name in vars(owner).keys() - parts.keys():
            delattr(owner, name)


def outcome() -> list[float]:
    """Sums of what a small model gives for a picture, and of the levels of a batch."""
    torch.manual_seed(1)
    config = PhotoConfig(n=16, z=8, ga_width=8, ga_depth=1, gs_width=8, gs_depth=1, hyper_width=8, context_width=8)
    model = PhotoModel(config)
    model.start_as_klt(torch.linalg.qr(torch.randn(768, 16))[0], torch.ones(16))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    torch.manual_seed(2)
    level = photo_task.levels(2, torch.device("cpu"))
    out = model(torch.rand(2, 3, 64, 64), level)
    (out["x_hat"].square().mean() + out["bits_y"].mean()).backward()
    return [float(level.detach().sum()), *(float(out[k].detach().sum()) for k in sorted(out))]


def changed(name: str) -> None:
    patch = find(name).patch
    assert patch is not None
    patch()


@pytest.mark.parametrize("name", [name for name in CHANGED if name != "warm-ga-gently"])
def test_a_change_of_code_changes_what_the_model_does(name: str) -> None:
    before = outcome()
    assert before == outcome()
    assert torch.isfinite(torch.tensor(before)).all()
    changed(name)
    after = outcome()
    assert torch.isfinite(torch.tensor(after)).all()
    assert after != before


def test_a_gentle_start_scales_what_new_blocks_read() -> None:
    known = {"g_a.blocks.0.mix_in.weight": torch.ones(4, 4)}
    fresh = known | {f"g_a.blocks.1.{layer}.weight": torch.full((4, 4), 2.0) for layer in ("mix_in", "expand", "other")}
    usual = grow.grown(known, fresh)
    changed("warm-ga-gently")
    gentle = photo_task.grown(known, fresh)
    for layer, scale in (("mix_in", 0.05), ("expand", 0.05), ("other", 1.0)):
        name = f"g_a.blocks.1.{layer}.weight"
        assert torch.equal(gentle[name], usual[name] * scale)
        assert usual[name].any()
