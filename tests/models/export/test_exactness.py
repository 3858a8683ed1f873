from __future__ import annotations

import numpy as np
import pytest
import torch
from support import photograph

from caecodec.entropy.tables import Tables
from caecodec.latents.photo import LatentCodec
from caecodec.latents.photo_network import EntropyNetwork
from caecodec.models.export.exactness import cost_of_integers, fitted_tables
from caecodec.models.export.integers import Tensors
from caecodec.models.export.model_file import tensors_of
from caecodec.models.networks.photo import PhotoConfig, PhotoModel


def lively_model(seed: int = 5) -> PhotoModel:
    """A small model whose every layer does something; fresh ones begin as the identity."""
    torch.manual_seed(seed)
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
    """On average over models: of a random one single steps may cost or gain more than that by chance."""
    crops = torch.stack([torch.from_numpy(photograph(256, 256, seed=s)).permute(2, 0, 1) for s in range(3)])
    models = [lively_model(seed) for seed in (5, 6, 7, 8)]
    costs = [cost_of_integers(model, tensors_of(model), crops, quality) for model in models]
    assert all(cost.float_bits > 10_000 for cost in costs)
    assert sum(cost.growth for cost in costs) / len(costs) < 0.005
    assert all(abs(cost.integer_psnr - cost.float_psnr) < 0.05 for cost in costs)


def test_the_comparison_can_fail() -> None:
    """Tables of another quality cost far more than half a percent."""
    model = lively_model()
    tensors = tensors_of(model)
    crops = torch.from_numpy(photograph(256, 256)).permute(2, 0, 1)[None]
    tensors["quality.index"] = tensors["quality.index"] + 3 * 1024
    assert cost_of_integers(model, tensors, crops, 50).growth > 0.02


@torch.inference_mode()
def size_of(model: PhotoModel, tensors: Tensors, crops: torch.Tensor, quality: int) -> float:
    """Bytes that crops take under a model's tables."""
    codec = LatentCodec(EntropyNetwork(tensors), Tables.of(tensors["table.frequencies"], tensors["table.tail"]))
    gain, gain_z = (np.asarray(tensors[f"float.{name}"][quality - 1], np.float32) for name in ("gain", "gain_z"))
    total = 0.0
    for crop in crops:
        y = model.g_a(crop[None].float() / 255 - 0.5)
        z = model.h_a(y * model.normaliser[:, None, None])
        rows = [t[0].permute(1, 2, 0).contiguous().numpy() for t in (y, z)]
        total += codec.cost(rows[0] * gain, rows[1] * gain_z, quality)[0]
    return total


def test_fitted_tables_save_bits_on_other_pictures_and_stay_sound() -> None:
    model = lively_model()
    crops = torch.stack([torch.from_numpy(photograph(128, 128, seed=s)).permute(2, 0, 1) for s in range(6)])
    tensors = tensors_of(model)
    fitted = tensors | fitted_tables(model, tensors, crops[:4])
    assert fitted["table.frequencies"].shape == tensors["table.frequencies"].shape
    assert fitted["table.frequencies"].dtype == tensors["table.frequencies"].dtype
    Tables.of(fitted["table.frequencies"], fitted["table.tail"])  # raises where one does not sum to 2^24
    for quality in (10, 50, 90):
        before, after = (size_of(model, t, crops[4:], quality) for t in (tensors, fitted))
        assert after < before


def test_a_tally_counts_every_symbol_once() -> None:
    model = lively_model()
    tensors = tensors_of(model)
    tables = Tables.of(tensors["table.frequencies"], tensors["table.tail"])
    codec = LatentCodec(EntropyNetwork(tensors), tables)
    random = np.random.default_rng(1)
    y, z = random.normal(0, 0.2, (8, 12, 64)).astype(np.float32), random.normal(0, 0.2, (2, 3, 16)).astype(np.float32)
    counts = codec.tally(y, z, 40)
    assert counts.sum() == y.size + z.size
    used = np.where(np.isfinite(tables.bits), tables.bits, 0.0)
    escapes = counts[np.arange(len(tables.tail)), 2 * tables.tail + 1].sum()
    bits, _ = codec.cost(y, z, 40)
    assert escapes == 0
    assert (counts * used).sum() / 8 + 2 == pytest.approx(bits)
