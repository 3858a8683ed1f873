"""A photo model with more channels of y and another range of lambda that begins as a trained one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from small_photo import SMALL, trained
from support import photograph

from caecodec.models.networks.photo import PhotoConfig, PhotoModel
from caecodec.models.training.widen import residual_basis, widened

WIDE = replace(SMALL, n=24, anchors=10, lambda_min=0.0001, lambda_max=1.0)


def level_of(config: PhotoConfig, lam: float) -> torch.Tensor:
    place = math.log(lam / config.lambda_min) / math.log(config.lambda_max / config.lambda_min)
    return torch.tensor([place])


def crops() -> torch.Tensor:
    return torch.stack([torch.from_numpy(photograph(128, 128, seed)).permute(2, 0, 1) for seed in range(6)])


def wide_from(model: PhotoModel, config: PhotoConfig) -> PhotoModel:
    wide = PhotoModel(config)
    wide.load_state_dict(widened(model, config, *residual_basis(model, crops(), config.n - model.config.n)))
    return wide


@torch.no_grad()
def test_where_the_new_channels_are_zero_it_does_what_the_trained_model_did() -> None:
    """At the anchors, where tables agree: a new channel that is coded as zero changes and costs nothing."""
    model = trained(SMALL)
    config = replace(SMALL, n=24)
    wide = wide_from(model, config)
    per_group, kept = config.n // 4, SMALL.n // 4
    added = torch.arange(config.n) % per_group >= kept
    wide.g_a.linear.weight[added] = 0
    wide.context.head_bias[:, :, per_group + kept :] = -1000.0  # the smallest scale
    x = crops()[:2].float() / 255
    for level in (0.0, 3 / 7, 1.0):
        expected, found = (m(x, torch.full((2,), level), hard=True) for m in (model, wide))
        assert torch.allclose(found["x_hat"], expected["x_hat"], atol=1e-4)
        assert torch.allclose(found["bits_y"], expected["bits_y"], rtol=1e-3, atol=1e-3)
        assert torch.allclose(found["bits_z"], expected["bits_z"], rtol=1e-4)


@torch.no_grad()
def test_new_channels_bring_unquantised_pictures_nearer() -> None:
    model = trained(SMALL)
    wide = wide_from(model, replace(SMALL, n=64))
    x, top = crops().float() / 255, torch.tensor([1.0])
    errors = []
    for m in (model, wide):
        gain_out, modulation = m.log_gain_out[-1].exp()[None, :, None, None], m.modulation[-1][None, :, None, None]
        errors.append((m.g_s(m.g_a(x - 0.5) * gain_out, modulation) + 0.5 - x).square().mean().item())
    assert top.item() == 1.0
    assert errors[1] < 0.8 * errors[0]


@torch.no_grad()
def test_tables_of_another_range_of_lambda_agree_where_both_have_it() -> None:
    from caecodec.models.networks.layers import interpolate

    model = trained(SMALL)
    straight = torch.linspace(-1, 2, SMALL.anchors)[:, None]
    for table in (model.log_gain, model.psi_z, model.modulation):
        table.copy_(straight.expand_as(table))  # a line, so that interpolating twice loses nothing
    wide = wide_from(model, WIDE)
    old = torch.arange(WIDE.n) % 6 < 4
    for lam in (SMALL.lambda_min, 0.01, SMALL.lambda_max):
        for name in ("log_gain", "psi_z", "modulation"):
            before = interpolate(getattr(model, name), level_of(SMALL, lam)).flatten()
            after = interpolate(getattr(wide, name), level_of(WIDE, lam)).flatten()
            assert torch.allclose(after[old] if name == "log_gain" else after, before, atol=1e-4)


def test_a_configuration_that_differs_in_more_is_refused() -> None:
    model = trained(SMALL)
    basis = residual_basis(model, crops(), 8)
    for other in (replace(WIDE, gs_depth=2), replace(SMALL, n=8)):
        with pytest.raises(ValueError, match="n may only grow"):
            widened(model, other, *basis)
