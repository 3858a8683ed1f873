"""What a level stands for: lambda, a fresh model's gain, the worth of an error."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from caecodec.models.networks.autoencoder import AutoencoderConfig
from caecodec.models.networks.levels import LambdaRange, error_weight, even_levels
from caecodec.models.networks.photo import PhotoConfig
from caecodec.models.networks.tiny import TinyConfig


def configs(low: float, high: float) -> list[LambdaRange]:
    return [
        PhotoConfig(lambda_min=low, lambda_max=high),
        TinyConfig(lambda_min=low, lambda_max=high),
        AutoencoderConfig("mnist", lambda_min=low, lambda_max=high),
    ]


@pytest.mark.parametrize("family", range(3))
def test_lambda_goes_from_its_least_to_its_largest_log_linearly(family: int) -> None:
    config = configs(0.002, 0.2)[family]
    assert [config.lambda_at(level) for level in (0.0, 0.5, 1.0)] == pytest.approx([0.002, 0.02, 0.2])
    assert config.lambda_at(torch.tensor([[0.0], [0.5], [1.0]])).flatten().tolist() == pytest.approx([0.002, 0.02, 0.2])
    for level in (-0.5, 0.0, 0.3, 1.0, 1.5):
        assert config.level_of(config.lambda_at(level)) == pytest.approx(level)


@pytest.mark.parametrize("family", range(3))
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.2, 0.2), (0.3, 0.1)])
def test_a_range_that_is_none_is_refused(family: int, low: float, high: float) -> None:
    with pytest.raises(ValueError, match="lambda_min must be above 0 and below lambda_max"):
        configs(low, high)[family]


def test_the_first_step_squared_falls_as_lambda_rises() -> None:
    config = configs(0.002, 0.2)[0]
    for level in (0.0, 1.0):
        step = math.exp(-config.first_log_gain(level))
        assert (255 * step) ** 2 == pytest.approx(26 / config.lambda_at(level))


def test_levels_of_qualities_are_even_and_reach_both_ends() -> None:
    levels = even_levels()
    assert (levels.shape, levels[0], levels[-1]) == ((100,), 0.0, 1.0)
    assert np.allclose(np.diff(levels), 1 / 99)


def test_an_error_is_worth_lambda_times_the_squared_error_it_makes_in_the_picture() -> None:
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(48, 48)))[0][:, :5] * [1.0, 2.0, 0.5, 1.0, 3.0]  # 4x4 pixels of 3 samples
    gain_out, lam = random.uniform(0.1, 2.0, 5), 0.03
    weight = error_weight(lam, np.square(basis).sum(0), gain_out**2)
    for channel in range(5):
        picture = basis[:, channel] * gain_out[channel]  # of an error of one step in this channel
        bits = 16 * lam * np.mean((255 * picture) ** 2)
        assert weight[channel] == pytest.approx(bits)
    power, squared_gain = torch.from_numpy(np.square(basis).sum(0)), torch.from_numpy(gain_out**2)
    of_torch = error_weight(torch.tensor([lam]), power, squared_gain)
    assert of_torch.numpy() == pytest.approx(weight)
