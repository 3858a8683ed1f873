"""What errors are worth, and which level each quality stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from caecodec.models.export import fitting
from caecodec.models.networks.photo import PhotoConfig, PhotoModel

SMALL = PhotoConfig(n=8, z=4, ga_width=8, ga_depth=1, gs_width=8, gs_depth=1, hyper_width=8, context_width=8)


@pytest.fixture(scope="module")
def model() -> PhotoModel:
    torch.manual_seed(1)
    found = PhotoModel(SMALL).eval().requires_grad_(False)
    basis = torch.linalg.qr(torch.randn(768, 8))[0]
    found.start_as_klt(basis, torch.linspace(2, 0.3, 8))
    return found


@pytest.fixture(scope="module")
def crops() -> torch.Tensor:
    with Image.open(Path(__file__).parents[2] / "data" / "photo.png") as image:
        photo = torch.from_numpy(np.array(image.convert("RGB")))
    return torch.stack([photo[:64, :64], photo[128:192, 64:128]]).permute(0, 3, 1, 2)


def test_worth_is_measured_at_levels_and_taken_between(model: PhotoModel, crops: torch.Tensor) -> None:
    found = fitting.measure(model, crops, (0.25, 0.75))
    assert found.ratio.shape == (2, 8)
    assert ((found.ratio >= 0.05) & (found.ratio <= 20)).all()
    assert (found.slope > 0).all()
    between = found.at(np.array([0.0, 0.25, 0.5]))
    np.testing.assert_allclose(between.eye[0], found.eye[0])
    np.testing.assert_allclose(between.ratio[1], found.ratio[0])
    np.testing.assert_allclose(between.ratio[2], found.ratio.mean(0))


def test_what_an_error_is_worth_to_an_eye_is_what_adding_it_costs(
    model: PhotoModel, crops: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quotient of a channel, in all, is that of the loss in SSIMULACRA2 and the loss in squared error."""
    monkeypatch.setattr(fitting, "_LEAST", -np.inf)
    monkeypatch.setattr(fitting, "_MOST", np.inf)
    found = fitting.measure(model, crops, (0.5,))
    # all channels together: worth to the eye is brought to the height of squared error
    weighed = 0.0
    total = 0.0
    for crop in crops:
        x = (crop[None].float() / 255).contiguous(memory_format=torch.channels_last)
        error, _, weight = fitting._slope(model, x, 0.5, fitting.EyeDistance(64))
        squared = (error**2).sum((1, 2)) * weight
        weighed += float((squared * found.ratio[0]).sum())
        total += float(squared.sum())
    assert weighed == pytest.approx(total, rel=1e-6)


def test_qualities_are_scores_from_30_to_90() -> None:
    levels = np.linspace(0, 1, 11)
    scores = np.array([-20.0, 5, 25, 40, 55, 66, 75, 82, 88, 92, 95])
    found = fitting.levels_of_qualities(levels, scores)
    assert found.shape == (100,)
    assert found[0] == 0
    assert found[99] == 1
    assert (np.diff(found) > 0).all()
    for quality in (30, 55, 75, 90):
        assert np.interp(found[quality - 1], levels, scores) == pytest.approx(quality, abs=1e-9)


def test_scores_that_do_not_reach_far_are_refused() -> None:
    with pytest.raises(ValueError, match=r"reach SSIMULACRA2 10\.0 to 80\.0, not 30 to 90"):
        fitting.levels_of_qualities(np.array([0.0, 1.0]), np.array([10.0, 80.0]))


def test_photographs_are_centres_of_limited_size(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    Image.fromarray(random.integers(0, 256, (600, 900, 3), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(random.integers(0, 256, (100, 900, 3), np.uint8)).save(tmp_path / "b.png")  # too low
    Image.fromarray(random.integers(0, 256, (800, 500, 3), np.uint8)).save(tmp_path / "c.jpg")  # stored lossily: shrunk
    assert [picture.shape for picture in fitting.photographs([tmp_path], 9)] == [(512, 768, 3), (480, 300, 3)]
    with pytest.raises(FileNotFoundError, match="at least 256x256"):
        fitting.photographs([tmp_path / "b.png"], 9)
