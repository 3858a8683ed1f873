"""What a reconstruction misses, and which checkpoints are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_pictures import checkpoint, needs_packages

from caecodec.bench.small.anomalies import BATCH, Seeker, area_under_roc
from caecodec.bench.small.features import measure_features
from caecodec.errors import UsageError
from caecodec.models.data.datasets import SmallSet
from caecodec.models.networks.autoencoder import AutoencoderConfig, AutoencoderModel

pytestmark = pytest.mark.usefixtures("halves")


@needs_packages
@pytest.mark.parametrize(
    ("positive", "negative", "auc"),
    [
        ((3, 4), (1, 2), 1.0),
        ((1, 2), (3, 4), 0.0),
        ((1, 1), (1, 1, 1), 0.5),
        ((0.35, 0.8), (0.1, 0.4), 0.75),  # of four pairs 0.35 > 0.1, 0.8 > 0.1, 0.8 > 0.4
        ((2, 3), (1, 2, 4), 3.5 / 6),  # of six pairs three are won and one is a tie
    ],
)
def test_the_area_under_the_roc_is_the_share_of_pairs_in_order(
    positive: tuple[float, ...], negative: tuple[float, ...], auc: float
) -> None:
    is_positive = np.array([True] * len(positive) + [False] * len(negative))
    assert area_under_roc(is_positive, np.array((*positive, *negative))) == pytest.approx(auc)


@pytest.mark.parametrize("form", ["drawn", "codec"])
def test_the_error_of_a_picture_is_its_mean_square_on_unit_scale(form: str) -> None:
    class Fixed(AutoencoderModel):
        """Returns one half everywhere."""

        def forward(self, x: torch.Tensor, *args: Any, **options: Any) -> dict[str, torch.Tensor]:
            assert (len(args), options) == ((0, {}) if form == "drawn" else (1, {"hard": True}))
            return {"x_hat": torch.full_like(x, 0.5)}

    pictures = torch.zeros(BATCH + 3, 28, 28, 1, dtype=torch.uint8)
    pictures[-1] = 51  # a fifth
    small = SmallSet("mnist", pictures, torch.zeros(len(pictures), dtype=torch.int64), ("0",))
    seeker = Seeker("x.pt", Fixed(AutoencoderConfig("mnist", form=form)), "0", torch.device("cpu"))
    errors = seeker.errors(small)
    assert errors.shape == (BATCH + 3,)
    assert errors[0] == pytest.approx(0.25)
    assert errors[-1] == pytest.approx(0.09)


@needs_packages
@pytest.mark.parametrize(
    ("without", "message"),
    [
        (None, r"has seen every class; caecodec train mnist --drawn --without CLASS"),
        ("", r"has seen every class"),
        ("seven", r"without the class 'seven'; the set mnist has low, middle, high"),
    ],
)
def test_a_checkpoint_that_lacks_no_class_of_the_set_is_refused_before_any_work(
    data: Path, tmp_path: Path, without: str | None, message: str
) -> None:
    seeker = checkpoint(tmp_path / "checkpoint.pt", without)
    with pytest.raises(UsageError, match=message):
        measure_features("any", data, tmp_path / "out", checkpoint=seeker)
    assert not (tmp_path / "out").exists()
