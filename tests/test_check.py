from __future__ import annotations

import pytest
import torch
from support import photograph

from caecodec.models.check import cost_of_integers
from caecodec.models.export import tensors_of
from caecodec.models.photo import PhotoConfig, PhotoModel


def lively_model() -> PhotoModel:
    """A small model whose every layer does something; fresh ones begin as the identity."""
    torch.manual_seed(5)
    model = PhotoModel(PhotoConfig(n=64, z=16, ga_width=32, gs_width=32, hyper_width=32, context_width=32))
    basis, _ = torch.linalg.qr(torch.randn(768, 64))
    model.start_as_klt(basis, torch.linspace(2.0, 0.05, 64))
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return model.eval()


@pytest.mark.parametrize("quality", [20, 50, 90])
def test_integers_cost_at_most_half_a_percent_more_bits_than_the_float_model(quality: int) -> None:
    model = lively_model()
    crops = torch.stack([torch.from_numpy(photograph(256, 256, seed=s)).permute(2, 0, 1) for s in range(3)])
    cost = cost_of_integers(model, tensors_of(model), crops, quality)
    assert cost.float_bits > 10_000
    assert cost.growth < 0.005


def test_the_comparison_can_fail() -> None:
    """Tables of another quality cost far more than half a percent."""
    model = lively_model()
    tensors = tensors_of(model)
    crops = torch.from_numpy(photograph(256, 256)).permute(2, 0, 1)[None]
    tensors["quality.index"] = tensors["quality.index"] + 3 * 1024
    assert cost_of_integers(model, tensors, crops, 50).growth > 0.02
