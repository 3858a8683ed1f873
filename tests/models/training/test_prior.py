"""A context for a codec that was trained with a factorised prior."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from caecodec.models.networks.autoencoder import AutoencoderConfig, AutoencoderModel
from caecodec.models.training import prior

PLAIN = AutoencoderConfig("fashion-mnist", anchors=2)
WITH = replace(PLAIN, groups=(2, 6), splits=(4, 2), context_width=8, context_hidden=12)


def smooth(count: int) -> torch.Tensor:
    """y (P, 8, 4, 4) whose channels and cells say much of each other."""
    torch.manual_seed(3)
    common = torch.randn(count, 1, 1, 1)
    return common * torch.linspace(1, 3, 8)[:, None, None] + 0.1 * torch.randn(count, 8, 4, 4)


def test_a_context_learns_what_cells_and_channels_say_of_each_other() -> None:
    torch.manual_seed(2)
    before = AutoencoderModel(PLAIN).eval()
    y = smooth(400)
    with torch.no_grad():
        before.log_gain.fill_(1.5)
        before.log_gain_out.fill_(1.5)
        before.prior.start_at(y)
    model = prior.with_context(before, WITH)
    for name, value in before.network.state_dict().items():
        assert torch.equal(value, model.network.state_dict()[name])
    model.start_context(y.permute(0, 2, 3, 1).flatten(0, 2), torch.ones(8))
    level = torch.full((400,), 0.5)
    factorised = before.code(y, level, True)[1].mean()
    started = model.code(y, level, True)[1].mean()
    records = list(prior.learn(model, y, 200))
    assert records[-1]["step"] == 200
    learnt = model.code(y, level, True)[1].mean()
    assert started < 1.3 * factorised
    assert learnt < 0.9 * factorised


def test_power_is_what_an_error_does_to_the_picture() -> None:
    torch.manual_seed(4)
    model = AutoencoderModel(PLAIN).eval()
    y = torch.randn(40, 8, 4, 4)
    power = prior.power_of(model, y)
    moved = y.clone()
    moved[:, 2] += 1e-2 * torch.randn(40, 4, 4)
    with torch.no_grad():
        x, x_moved = (model.network.decode(model.turn_back(v), []) for v in (y, moved))
    made = (x - x_moved).square().sum() / (moved - y).square().sum()
    assert float(made) == pytest.approx(float(power[2]), rel=0.4)


def test_a_recipe_of_another_shape_is_refused() -> None:
    model = AutoencoderModel(PLAIN)
    with pytest.raises(ValueError, match="groups"):
        prior.with_context(model, PLAIN)
    with pytest.raises(ValueError, match="another shape"):
        prior.with_context(model, replace(WITH, coded=7, groups=(2, 5)))


def test_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to n"):
        replace(WITH, groups=(2, 5))
    with pytest.raises(ValueError, match="2x2"):
        AutoencoderConfig("mnist", groups=(2, 2), splits=(4, 4))
