from __future__ import annotations

import io

import numpy as np
from PIL import Image
from small_pictures import needs_packages

from caecodec.bench.small.figures import scatter


@needs_packages
def test_more_classes_than_colours_can_be_drawn() -> None:
    random = np.random.default_rng(0)
    drawn = scatter(random.normal(size=(100, 2)), np.arange(100), [str(i) for i in range(100)], "many")
    with Image.open(io.BytesIO(drawn)) as image:
        assert image.width > 500
