"""A larger photo model that starts as a smaller one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_photo import SMALL, trained

from caecodec.models.networks.photo import PhotoModel
from caecodec.models.training import recipe
from caecodec.models.training.grow import grown, with_tunes


@pytest.mark.parametrize(
    "larger",
    [
        {"ga_depth": 3},
        {"gs_depth": 2, "context_depth": 3},
        {"ga_width": 12},
        {"gs_width": 20},
        {"tunes": 2},
        {"tunes": 2, "gs_width": 12},
        {"ga_width": 16, "ga_depth": 2, "gs_width": 12, "gs_depth": 4},
    ],
)
def test_a_grown_model_does_what_the_small_one_did_and_can_learn(larger: dict[str, int]) -> None:
    small, large = trained(SMALL), PhotoModel(replace(SMALL, **larger))
    weights = with_tunes(small.state_dict(), large.config)
    large.load_state_dict(grown(weights, large.state_dict()))
    x, level = torch.rand(2, 3, 64, 128), torch.tensor([0.2, 0.9])
    expected, found = (model(x, level, hard=True) for model in (small, large))
    for key in expected:
        assert torch.allclose(found[key], expected[key], atol=1e-4, rtol=1e-4), key
    # nothing that was added is cut off for ever: what reads it has a gradient, and the rest follows once that has moved
    found["x_hat"].square().mean().add(found["bits_y"].mean()).backward()
    new = [
        p
        for name, p in large.named_parameters()
        if name not in small.state_dict() or p.shape != small.state_dict()[name].shape
    ]
    assert new
    assert all(p.grad is not None for p in new)
    moving = {name for name, p in large.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    added = {name for name, p in large.named_parameters() if name not in small.state_dict()}
    assert {name for name in added if name.endswith(("mix_out.weight", "project.weight"))} <= moving
    if large.config.gs_width > small.config.gs_width:  # the head reads channels that were not there
        head = large.g_s.head.weight.grad
        assert head is not None
        assert head[:, small.config.gs_width :].abs().max() > 0


@pytest.mark.parametrize(
    ("larger", "says"),
    [
        ({"n": 32}, "log_gain"),
        ({"anchors": 16}, "log_gain"),
        ({"ga_depth": 0}, "no g_a.blocks"),
        ({"gs_width": 4}, "smaller"),
        ({"z": 12}, "z"),
    ],
)
def test_what_cannot_be_grown_is_refused(larger: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        grown(PhotoModel(SMALL).state_dict(), PhotoModel(replace(SMALL, **larger)).state_dict())


@pytest.mark.parametrize("name", ["photo-s", "photo-hq"])
def test_the_larger_recipes_can_start_from_the_default_one(name: str) -> None:
    small, large = (PhotoModel(recipe.load(which).model) for which in ("photo", name))  # type: ignore[arg-type]
    large.load_state_dict(grown(small.state_dict(), large.state_dict()))
    begun = large.state_dict()
    for key, tensor in small.state_dict().items():
        if not key.startswith(("g_s.stem.", "modulation")):  # their new channels do not stand behind the old ones
            assert torch.equal(begun[key][tuple(map(slice, tensor.shape))], tensor), key
