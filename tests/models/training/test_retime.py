"""A trained model over another range of lambda."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support import photograph

from caecodec.models.networks.tiny import TinyConfig, TinyModel
from caecodec.models.training.retime import retimed_model

OLD = TinyConfig(n=24, groups=(6, 18), splits=(4, 2), ga_width=8, ga_depth=1, gs_width=8, gs_depth=1, anchors=5)
NEW = replace(OLD, anchors=7, lambda_min=OLD.lambda_at(-0.5))  # two more anchors below


def trained() -> TinyModel:
    """A model whose tables are neither constant nor straight."""
    torch.manual_seed(1)
    model = TinyModel(OLD)
    model.start([torch.from_numpy(photograph(64, 64, seed)).permute(2, 0, 1)[None] / 255 for seed in range(4)])
    with torch.no_grad():
        for table in (model.log_gain, model.log_gain_out, model.bias, model.modulation):
            table += 0.2 * torch.randn_like(table)
    return model


@torch.no_grad()
def test_it_does_at_every_lambda_what_the_trained_model_did_and_goes_on_below() -> None:
    model, longer = trained(), TinyModel(NEW)
    longer.load_state_dict(retimed_model(model, NEW))
    x = torch.from_numpy(photograph(32, 32)).permute(2, 0, 1)[None].float() / 255
    sizes = []
    for lam in (OLD.lambda_at(-0.5), OLD.lambda_at(-0.2), 0.002, 0.03, 0.2, 1.0):
        found = longer(x, torch.tensor([NEW.level_of(lam)]).float(), hard=True, rdo=0.3)
        sizes.append(found["bits"].item())
        if lam >= 0.002:
            expected = model(x, torch.tensor([OLD.level_of(lam)]).float(), hard=True, rdo=0.3)
            assert torch.allclose(found["x_hat"], expected["x_hat"], atol=1e-3)
            assert found["bits"].item() == pytest.approx(expected["bits"].item(), rel=1e-3)
    assert sizes[0] < sizes[1] < sizes[2]


def test_a_model_that_differs_in_more_is_refused() -> None:
    with pytest.raises(ValueError, match="only anchors and the range"):
        retimed_model(trained(), replace(NEW, gs_width=9))
