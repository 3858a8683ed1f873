"""SSIMULACRA2, in numpy and with gradients, against what the authors' own program says of the same pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support import photograph

from caecodec.models.networks.eye import EyeDistance, eye_lambda
from caecodec.pictures import ssimulacra2

Picture = NDArray[np.uint8]


def noisy(picture: Picture) -> Picture:
    noise = np.random.default_rng(5).normal(0, 12, picture.shape)
    return np.clip(np.round(picture + noise), 0, 255).astype(np.uint8)


def blurred(picture: Picture) -> Picture:
    """Means of 3x3, borders repeated."""
    padded = np.pad(picture.astype(np.int64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    h, w = picture.shape[:2]
    return (sum(padded[i : i + h, j : j + w] for i in range(3) for j in range(3)) // 9).astype(np.uint8)


def posterised(picture: Picture) -> Picture:
    return (picture // 24 * 24 + 12).astype(np.uint8)


# ssimulacra2 2.1 of https://github.com/cloudinary/ssimulacra2, compiled from its sources, on these pictures as PNG.
# Where a side is below about 160 it reads memory beyond its coarsest scale, and its scores mean nothing
PUBLISHED = [
    (128, 192, noisy, 44.0576),
    (128, 192, blurred, 78.4124),
    (128, 192, posterised, 49.4996),
    (169, 201, noisy, 39.6467),
    (169, 201, blurred, 77.5302),
    (163, 333, posterised, 46.6794),
]


@pytest.mark.parametrize(("height", "width", "change", "expected"), PUBLISHED)
def test_scores_are_those_of_the_authors_program(height: int, width: int, change: object, expected: float) -> None:
    assert callable(change)
    picture = photograph(height, width, seed=3)
    assert ssimulacra2.score(picture, change(picture)) == pytest.approx(expected, abs=0.01)


def test_the_same_picture_scores_100_and_gray_is_as_its_three_equal_channels() -> None:
    picture = photograph(64, 80)
    assert ssimulacra2.score(picture, picture) == 100.0
    gray, other = picture[..., 0], noisy(picture)[..., 0]
    three = ssimulacra2.score(np.dstack([gray] * 3), np.dstack([other] * 3))
    assert ssimulacra2.score(gray, other) == pytest.approx(three, abs=1e-4)


def test_pictures_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        ssimulacra2.score(photograph(32, 32), photograph(32, 40))
    with pytest.raises(ValueError, match="at least 8 pixels"):
        ssimulacra2.score(photograph(7, 32), photograph(7, 32))
    with pytest.raises(ValueError, match="at least 8 pixels"):
        EyeDistance(7)


def batch(*pictures: Picture) -> torch.Tensor:
    return torch.stack([torch.from_numpy(p).permute(2, 0, 1) for p in pictures]).float() / 255


@pytest.mark.parametrize("change", [noisy, blurred, posterised])
def test_the_loss_differs_from_the_score_by_its_borders_alone(change: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """With zeros beyond the borders in place of mirrors both are the same number."""
    from caecodec.models.networks import eye

    def zeros_beyond(length: int) -> torch.Tensor:
        return torch.from_numpy(ssimulacra2._band(length)[4:-4].T.copy())

    monkeypatch.setattr(eye, "_blur_matrix", zeros_beyond)
    assert callable(change)
    picture = photograph(64, 64, seed=2)
    distance = EyeDistance(64)(batch(change(picture)), batch(picture))
    assert 100 - distance.item() == pytest.approx(ssimulacra2.score(picture, change(picture)), abs=0.02)


def test_the_loss_has_a_gradient_that_lowers_it_and_leaves_the_original_alone() -> None:
    picture = photograph(64, 64)
    x, x_hat = batch(picture).requires_grad_(), batch(noisy(picture)).requires_grad_()
    distance = EyeDistance(64)
    before = distance(x_hat, x)
    before.sum().backward()
    assert x.grad is None or not x.grad.any()
    assert x_hat.grad is not None
    assert torch.isfinite(x_hat.grad).all()
    step = x_hat.detach() - 0.5 * x_hat.grad / x_hat.grad.norm()
    assert distance(step, x).item() < before.item() - 0.5


def test_what_an_eye_pays_for_grows_more_slowly_than_lambda() -> None:
    low, high = eye_lambda(torch.tensor(0.001)), eye_lambda(torch.tensor(0.1))
    assert low < high < 100 * low


@pytest.mark.parametrize("shape", [(50, 30, 3), (33, 7)], ids=str)
def test_lightness_by_tables_is_that_of_xyb(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    picture[:2], picture[2:4] = 0, 255
    exact = ssimulacra2._xyb(ssimulacra2._linear(picture))[1]
    assert np.abs(ssimulacra2.lightness(picture) - exact).max() < 3e-4
