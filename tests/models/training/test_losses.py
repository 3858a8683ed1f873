"""Distortions, against values known by other means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support import photograph

from caecodec.models.training import losses


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    """(2, 3, 64, 64) in [0, 1], and the same with noise."""
    x = torch.stack([torch.from_numpy(photograph(64, 64, seed)).permute(2, 0, 1) for seed in range(2)]).float() / 255
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) * 0.05
    return x, (x + noise).clamp(0, 1)


@pytest.mark.parametrize("kind", losses.DISTORTIONS)
def test_a_distortion_is_least_at_the_picture_and_grows_with_noise(kind: str) -> None:
    x, noisy = pair()
    same, little, much = (losses.distortion(kind, y, x) for y in (x, (x + noisy) / 2, noisy))
    assert (same < little).all()
    assert (little < much).all()
    if kind != "bce":
        assert torch.allclose(same, torch.zeros(2), atol=0.05)


def test_mse_and_psnr_are_in_8_bit_units() -> None:
    x = torch.zeros(1, 3, 4, 4)
    mse = losses.mse_255(x + 1 / 255, x)
    assert mse.item() == pytest.approx(1.0, rel=1e-4)
    assert losses.psnr(mse).item() == pytest.approx(48.1308, abs=1e-3)


def test_ssim_agrees_with_its_definition_at_one_place() -> None:
    """The window fits an 11x11 picture once: the sums can be written out."""
    random = np.random.default_rng(1)
    a, b = random.random((11, 11)), random.random((11, 11))
    offset = np.arange(11) - 5
    weight = np.exp(-(offset**2) / 4.5)
    window = np.outer(weight, weight) / weight.sum() ** 2
    mean_a, mean_b = (window * a).sum(), (window * b).sum()
    var_a, var_b = (window * a * a).sum() - mean_a**2, (window * b * b).sum() - mean_b**2
    cov = (window * a * b).sum() - mean_a * mean_b
    expected = (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
    expected /= (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
    found = losses.ssim(torch.from_numpy(a)[None, None], torch.from_numpy(b)[None, None])
    assert found.item() == pytest.approx(expected, abs=1e-4)


def test_ssim_is_one_for_equal_pictures_and_multi_scale_takes_tiny_ones() -> None:
    x, noisy = pair()
    assert torch.allclose(losses.ssim(x, x), torch.ones(2), atol=1e-5)
    small = losses.ssim(noisy[..., :28, :28], x[..., :28, :28], scales=3)
    assert ((small > 0) & (small < 1)).all()


def test_rate_distortion_adds_bits_to_bits_and_weighs_qualities_by_their_lambda() -> None:
    bpp, error, lam = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0]), torch.tensor([0.02, 0.08])
    # (1 + 3) * 1 and (2 + 5) / 4^(1/2), averaged
    assert losses.rate_distortion(bpp, error, lam, 0.5).item() == pytest.approx((4 + 3.5) / 2)
